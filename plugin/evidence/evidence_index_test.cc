#include "plugin/evidence/evidence_index.h"

#include <gtest/gtest.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include <chrono>
#include <set>
#include <thread>

#include "lib/oci/descriptor.h"
#include "plugin/evidence/layout_test_support.h"
#include "plugin/trust/cosign_verifier.h"
#include "plugin/trust/scan_test_support.h"
#include "plugin/trust/signature_image.h"

namespace bulwark::evidence {
namespace {

using trust::TestCandidate;
using trust::TestDigest;
using trust::TestImage;
using trust::TestKey;
using trust::TestPayload;
using trust::TrivyReport;
namespace reason = policy::reason;

class EvidenceIndexTest : public ::testing::Test {
 protected:
  EvidenceIndex Build(const EvidenceIndex* previous = nullptr) {
    watched_.clear();
    return EvidenceIndex::Build(directory_.path(), previous, [this](const std::string& path) { watched_.insert(path); });
  }
  std::string SignatureCode(const EvidenceIndex& index) const {
    trust::SignatureRequirement requirement;
    requirement.authorities = {{"build", {key_.Pem()}, {"/k.pub"}}};
    return trust::VerifySignatures(requirement, image_, index.FindSignatures(image_)).code;
  }
  trust::SignatureCandidate Good() const { return TestCandidate(key_, TestPayload(image_.manifest_digest)); }
  std::string Tag() const { return trust::SignatureTag(image_.manifest_digest); }
  // Until what was written has a stamp that later content cannot have.
  static void Settle() { std::this_thread::sleep_for(std::chrono::milliseconds(100)); }

  TestDirectory directory_;
  const TestKey key_ = TestKey::Ed25519();
  const oci::ImageIdentity image_ = TestImage();
  std::set<std::string> watched_;
};

TEST_F(EvidenceIndexTest, OnlyWhatChangedIsReadAgain) {
  const std::string json = TrivyReport().Json();
  WriteTestFile(directory_ / "a.json", json);
  WriteTestFile(directory_ / "b.json", json);
  Settle();
  const EvidenceIndex first = Build();
  EXPECT_EQ(first.bytes_parsed(), 2 * json.size());
  const EvidenceIndex second = Build(&first);
  EXPECT_EQ(second.bytes_parsed(), 0u);
  EXPECT_EQ(second.FindReports(image_).candidates.size(), 2u);
  WriteTestFile(directory_ / "b.json", json + " ");
  EXPECT_EQ(Build(&second).bytes_parsed(), json.size() + 1);
}

TEST_F(EvidenceIndexTest, FileThatWasJustWrittenIsReadAgainForItsStampMayNotTell) {
  const std::string json = TrivyReport().Json();
  const std::string path = directory_ / "a.json";
  WriteTestFile(path, json);
  struct stat facts {};
  ASSERT_EQ(stat(path.c_str(), &facts), 0);
  const EvidenceIndex first = Build();
  struct timespec now {};
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  if (now.tv_sec != facts.st_ctim.tv_sec || now.tv_nsec - facts.st_ctim.tv_nsec > 40'000'000) {
    GTEST_SKIP() << "the machine is too busy to read the file soon after it was written";
  }
  EXPECT_EQ(Build(&first).bytes_parsed(), json.size());
}

TEST_F(EvidenceIndexTest, FileThatBecameWritableByOthersIsReadAsSuch) {
  WriteTestFile(directory_ / "sub/a.json", TrivyReport().Json());
  Settle();
  const EvidenceIndex first = Build();
  ASSERT_EQ(chmod((directory_ / "sub").c_str(), 0777), 0);
  const EvidenceIndex second = Build(&first);
  ASSERT_EQ(second.FindReports(image_).candidates.size(), 1u);
  EXPECT_FALSE(second.FindReports(image_).candidates[0].is_trusted_source);
  EXPECT_EQ(second.FindReports(image_).candidates[0].report, nullptr);
}

TEST_F(EvidenceIndexTest, EveryDirectoryIsAnnouncedAndThoseOfBlobsToo) {
  WriteTestFile(directory_ / "sub/deep/a.json", "{}");
  TestLayout layout(directory_ / "l");
  layout.Finish({});
  Build();
  EXPECT_EQ(watched_, (std::set<std::string>{directory_.path(), directory_ / "sub", directory_ / "sub/deep", directory_ / "l",
                                             directory_ / "l/blobs", directory_ / "l/blobs/sha256"}));
}

// The signature has no tag, so nothing says that the blob that is not there yet is one.
TEST_F(EvidenceIndexTest, UntaggedSignatureThatArrivesAfterTheIndexIsSeen) {
  TestLayout layout(directory_ / "l");
  const TestBlob signature = layout.AddSignature(Good());
  layout.Finish({TestLayout::Entry(signature)});
  const std::string elsewhere = directory_ / "blob";
  ASSERT_EQ(rename(layout.BlobPath(signature.digest).c_str(), elsewhere.c_str()), 0);
  Settle();
  const EvidenceIndex first = Build();
  EXPECT_EQ(SignatureCode(first), reason::kSignatureMissing);
  ASSERT_EQ(rename(elsewhere.c_str(), layout.BlobPath(signature.digest).c_str()), 0);
  EXPECT_EQ(SignatureCode(Build(&first)), reason::kOk);
}

TEST_F(EvidenceIndexTest, SignatureImageTooLargeToBeReadIsAFlood) {
  TestLayout layout(directory_ / "l");
  const TestBlob payload = layout.Add(Good().payload);
  const std::vector<std::string> layers(
      100'000, TestLayout::Entry(payload, TestLayout::Annotated("dev.cosignproject.cosign/signature", "AAAA"),
                                 "application/vnd.dev.cosign.simplesigning.v1+json"));
  const TestBlob flood = layout.Add(TestLayout::Manifest({TestDigest('c'), 2}, layers));
  ASSERT_GT(flood.size, oci::kManifestBytesMax);
  layout.Finish({TestLayout::Entry(flood, TestLayout::Named(Tag()))});
  EXPECT_EQ(SignatureCode(Build()), reason::kSignatureLimit);
}

TEST_F(EvidenceIndexTest, SignatureInManyLayoutsIsOneCandidate) {
  for (int i = 0; i < 70; ++i) {
    TestLayout layout(directory_ / fmt::format("l{}", i));
    layout.Finish({TestLayout::Entry(layout.AddSignature(Good()), TestLayout::Named(Tag()))});
  }
  const auto found = Build().FindSignatures(image_);
  EXPECT_EQ(found.candidates.size(), 1u);
  EXPECT_FALSE(found.is_cut);
}

TEST_F(EvidenceIndexTest, JunkWithinTheBoundDoesNotHideAGoodSignatureInAnotherLayout) {
  for (int i = 0; i < 60; ++i) {
    auto junk = Good();
    junk.signature_base64 = trust::EncodeBase64(std::to_string(1000 + i));
    TestLayout layout(directory_ / fmt::format("a{}", i));
    layout.Finish({TestLayout::Entry(layout.AddSignature(junk), TestLayout::Named(Tag()))});
  }
  TestLayout layout(directory_ / "z");
  layout.Finish({TestLayout::Entry(layout.AddSignature(Good()), TestLayout::Named(Tag()))});
  EXPECT_EQ(SignatureCode(Build()), reason::kOk);
}

}  // namespace
}  // namespace bulwark::evidence
