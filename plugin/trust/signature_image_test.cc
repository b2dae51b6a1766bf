#include "plugin/trust/signature_image.h"

#include <gtest/gtest.h>

#include <map>

#include "plugin/trust/cosign_verifier.h"
#include "plugin/trust/signing_test_support.h"
#include "plugin/trust/simple_signing.h"

namespace bulwark::trust {
namespace {

constexpr std::string_view kPayloadType = "application/vnd.dev.cosign.simplesigning.v1+json";

class SignatureImageTest : public ::testing::Test {
 protected:
  std::string Layer(const std::string& payload, std::string_view signature, std::string_view type = kPayloadType) {
    const std::string digest = oci::Sha256Digest(payload);
    blobs_[digest] = payload;
    return LayerSaying(digest, payload.size(), signature, type);
  }

  static std::string LayerSaying(std::string_view digest, size_t size, std::string_view signature,
                                 std::string_view type = kPayloadType) {
    return fmt::format(
        R"({{"mediaType":"{}","digest":"{}","size":{},"annotations":{{"dev.cosignproject.cosign/signature":"{}"}}}})",
        type, digest, size, signature);
  }

  static std::string Manifest(const std::vector<std::string>& layers) {
    return fmt::format(
        R"({{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":)"
        R"("application/vnd.oci.image.config.v1+json","digest":"{}","size":2}},"layers":[{}]}})",
        TestDigest('c'), fmt::join(layers, ","));
  }

  SignatureEvidence Collect(const std::string& manifest) {
    SignatureEvidence evidence;
    CollectSignatures(manifest, "here", Reader(), evidence);
    return evidence;
  }

  BlobReader Reader() {
    return [this](const std::string& digest, size_t max_bytes) -> base::Result<std::string> {
      largest_read_ = std::max(largest_read_, max_bytes);
      const auto found = blobs_.find(digest);
      if (found == blobs_.end()) return base::Error(base::Code::kNotFound, "no such blob");
      return found->second;
    };
  }

  std::map<std::string, std::string> blobs_;
  size_t largest_read_ = 0;
};

TEST_F(SignatureImageTest, EveryLayerOfTheRightTypeIsACandidate) {
  const auto found = Collect(Manifest({Layer("one", "AAAA"), Layer("two", "BBBB"),
                                       Layer("three", "CCCC", "application/vnd.dsse.envelope.v1+json")}));
  ASSERT_EQ(found.candidates.size(), 2u);
  EXPECT_EQ(found.candidates[0].payload, "one");
  EXPECT_EQ(found.candidates[0].signature_base64, "AAAA");
  EXPECT_EQ(found.candidates[1].payload_digest, oci::Sha256Digest("two"));
  EXPECT_TRUE(found.problems.empty());
}

TEST_F(SignatureImageTest, PayloadThatHashesToSomethingElseIsAProblemAndNoCandidate) {
  const std::string layer = Layer("one", "AAAA");
  blobs_.begin()->second = "two";
  const auto found = Collect(Manifest({layer, Layer("good", "BBBB")}));
  EXPECT_EQ(found.problems.size(), 1u);
  ASSERT_EQ(found.candidates.size(), 1u);
  EXPECT_EQ(found.candidates[0].payload, "good");
}

TEST_F(SignatureImageTest, SizeMustBeTheDescriptors) {
  Layer("one", "AAAA");
  const auto found = Collect(Manifest({LayerSaying(oci::Sha256Digest("one"), 4, "AAAA")}));
  EXPECT_TRUE(found.candidates.empty());
  EXPECT_EQ(found.problems.size(), 1u);
}

TEST_F(SignatureImageTest, HugeDeclaredSizeIsNotEvenRead) {
  const auto found = Collect(Manifest({LayerSaying(TestDigest('1'), size_t{10} << 30, "AAAA")}));
  EXPECT_TRUE(found.candidates.empty());
  EXPECT_EQ(found.problems.size(), 1u);
  EXPECT_EQ(largest_read_, 0u);
}

TEST_F(SignatureImageTest, ReadsAreBounded) {
  Collect(Manifest({Layer("one", "AAAA")}));
  EXPECT_EQ(largest_read_, kPayloadBytesMax);
}

TEST_F(SignatureImageTest, DigestsInAnotherSpellingOrAlgorithmGiveNoCandidate) {
  for (const std::string& digest : {"sha256:" + std::string(64, 'A'), "sha256:" + std::string(63, 'a'),
                                    "sha512:" + std::string(128, 'a'), std::string("sha256:../../../../etc/shadow")}) {
    const auto found = Collect(Manifest({LayerSaying(digest, 3, "AAAA")}));
    EXPECT_TRUE(found.candidates.empty()) << digest;
    EXPECT_EQ(found.problems.size(), 1u) << digest;
  }
}

TEST_F(SignatureImageTest, DocumentThatIsManifestAndIndexIsAProblem) {
  std::string both = Manifest({Layer("one", "AAAA")});
  both.insert(both.size() - 1, R"(,"manifests":[])");
  const auto found = Collect(both);
  EXPECT_TRUE(found.candidates.empty());
  EXPECT_EQ(found.problems.size(), 1u);
}

TEST_F(SignatureImageTest, AFloodIsCut) {
  std::vector<std::string> layers;
  for (int i = 0; i < 200; ++i) layers.push_back(Layer(std::to_string(i), "AAAA"));
  const auto found = Collect(Manifest(layers));
  EXPECT_EQ(found.candidates.size(), kCandidatesMax);
  EXPECT_TRUE(found.is_cut);
}

TEST_F(SignatureImageTest, ManifestWithMoreLayersThanAreParsedIsAFlood) {
  const std::string layer = Layer("one", "AAAA");
  const auto found = Collect(Manifest(std::vector<std::string>(10'000, layer)));
  EXPECT_TRUE(found.candidates.empty());
  EXPECT_TRUE(found.is_cut);
}

TEST_F(SignatureImageTest, ProblemsAreBounded) {
  std::vector<std::string> layers(1000, LayerSaying(TestDigest('1'), 3, "AAAA"));
  EXPECT_EQ(Collect(Manifest(layers)).problems.size(), kProblemsMax);
}

TEST_F(SignatureImageTest, TheSameSignatureTwiceIsOneCandidate) {
  const std::string layer = Layer("one", "AAAA");
  SignatureEvidence evidence = Collect(Manifest({layer, layer, Layer("one", "BBBB")}));
  EXPECT_EQ(evidence.candidates.size(), 2u);
  CollectSignatures(Manifest({layer}), "elsewhere", Reader(), evidence);
  EXPECT_EQ(evidence.candidates.size(), 2u);
}

TEST(SignatureTagTest, TagIsCosigns) { EXPECT_EQ(SignatureTag(TestDigest('a')), "sha256-" + std::string(64, 'a') + ".sig"); }

}  // namespace
}  // namespace bulwark::trust
