#include "plugin/evidence/layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "plugin/evidence/layout_test_support.h"

namespace bulwark::evidence {
namespace {

using base::Code;
using ::testing::HasSubstr;

class LayoutTest : public ::testing::Test {
 protected:
  base::Result<oci::ImageIdentity> Resolve(const std::string& name) {
    auto layout = Layout::Open(layout_.path());
    if (!layout) return std::move(layout).error();
    return layout->ResolveImage(name);
  }

  void ExpectRefused(const std::string& name, Code code) {
    const auto image = Resolve(name);
    ASSERT_FALSE(image);
    EXPECT_EQ(image.error().code(), code) << image.error().message();
  }

  static std::string PlatformOf(std::string_view os, std::string_view architecture) {
    return fmt::format(R"(,"platform":{{"os":"{}","architecture":"{}"}})", os, architecture);
  }

  TestDirectory directory_;
  TestLayout layout_{directory_ / "layout"};
  const std::string host_ = oci::HostPlatform().architecture;
};

TEST_F(LayoutTest, ManifestIsResolvedWithEveryDigest) {
  const TestBlob manifest = layout_.AddImage(host_, 2);
  layout_.Finish({TestLayout::Entry(manifest, TestLayout::Named("1.0"))});
  const auto image = Resolve("registry.corp/prod/app:1.0");
  ASSERT_TRUE(image) << image.error().message();
  EXPECT_EQ(image->reference, "registry.corp/prod/app:1.0");
  EXPECT_EQ(image->manifest_digest, manifest.digest);
  EXPECT_TRUE(image->index_digest.empty());
  EXPECT_TRUE(oci::IsDigest(image->config_digest));
  ASSERT_EQ(image->diff_ids.size(), 2u);
  EXPECT_EQ(image->chain_id, oci::Sha256Digest(image->diff_ids[0] + " " + image->diff_ids[1]));
  EXPECT_EQ(image->architecture, host_);
}

TEST_F(LayoutTest, IndexIsResolvedToThisMachinesManifest) {
  const TestBlob ours = layout_.AddImage(host_);
  const TestBlob other = layout_.AddImage("s390x");
  const TestBlob index = layout_.AddIndex({TestLayout::Entry(other, PlatformOf("linux", "s390x")),
                                           TestLayout::Entry(other, PlatformOf("unknown", "unknown")),
                                           TestLayout::Entry(ours, PlatformOf("linux", host_))});
  layout_.Finish({TestLayout::Entry(index, TestLayout::Named("1.0"), oci::media_type::kIndex)});
  const auto image = Resolve("1.0");
  ASSERT_TRUE(image) << image.error().message();
  EXPECT_EQ(image->index_digest, index.digest);
  EXPECT_EQ(image->manifest_digest, ours.digest);
}

TEST_F(LayoutTest, AttestationManifestIsNeverChosen) {
  const TestBlob ours = layout_.AddImage(host_);
  const TestBlob index = layout_.AddIndex({TestLayout::Entry(ours, PlatformOf("unknown", "unknown"))});
  layout_.Finish({TestLayout::Entry(index, "", oci::media_type::kIndex)});
  ExpectRefused("", Code::kNotFound);
}

TEST_F(LayoutTest, NestedIndexIsNotFollowed) {
  const TestBlob ours = layout_.AddImage(host_);
  const TestBlob inner = layout_.AddIndex({TestLayout::Entry(ours, PlatformOf("linux", host_))});
  const TestBlob outer = layout_.AddIndex({TestLayout::Entry(inner, PlatformOf("linux", host_), oci::media_type::kIndex)});
  layout_.Finish({TestLayout::Entry(outer, "", oci::media_type::kIndex)});
  ExpectRefused("", Code::kNotFound);
}

TEST_F(LayoutTest, NamesOfManyKindsAreFound) {
  const TestBlob manifest = layout_.AddImage(host_);
  layout_.Finish({TestLayout::Entry(manifest, TestLayout::Annotated("io.containerd.image.name", "docker.io/library/app:1"))});
  EXPECT_TRUE(Resolve(""));
  EXPECT_TRUE(Resolve("app:1"));
  EXPECT_TRUE(Resolve(manifest.digest));
  EXPECT_TRUE(Resolve("registry.corp/x@" + manifest.digest));
  EXPECT_FALSE(Resolve("app:2"));
  EXPECT_FALSE(Resolve("registry.corp/x@" + trust::TestDigest('e')));
}

TEST_F(LayoutTest, SignaturesBesideTheImageAreNotTakenForImages) {
  const TestBlob manifest = layout_.AddImage(host_);
  const TestBlob other = layout_.AddImage(host_, 3);
  layout_.Finish({TestLayout::Entry(manifest, TestLayout::Named("1.0")),
                  TestLayout::Entry(other, TestLayout::Named("sha256-" + std::string(64, 'a') + ".sig")),
                  TestLayout::Entry(other, TestLayout::Annotated("kind", "dev.cosignproject.cosign/sigs"))});
  const auto image = Resolve("");
  ASSERT_TRUE(image) << image.error().message();
  EXPECT_EQ(image->manifest_digest, manifest.digest);
}

TEST_F(LayoutTest, NameThatStandsForSeveralImagesIsRefused) {
  layout_.Finish({TestLayout::Entry(layout_.AddImage(host_, 1), TestLayout::Named("latest")),
                  TestLayout::Entry(layout_.AddImage(host_, 2), TestLayout::Named("latest"))});
  ExpectRefused("app:latest", Code::kInvalidArgument);
  ExpectRefused("", Code::kInvalidArgument);
}

TEST_F(LayoutTest, BlobThatHashesToSomethingElseIsDataLoss) {
  const TestBlob manifest = layout_.AddImage(host_);
  layout_.Finish({TestLayout::Entry(manifest)});
  WriteTestFile(layout_.BlobPath(manifest.digest), std::string(manifest.size, ' '));
  ExpectRefused("", Code::kDataLoss);
}

TEST_F(LayoutTest, SizeMustBeTheDescriptors) {
  TestBlob manifest = layout_.AddImage(host_);
  ++manifest.size;
  layout_.Finish({TestLayout::Entry(manifest)});
  ExpectRefused("", Code::kInvalidArgument);
  const TestBlob index = layout_.AddIndex({TestLayout::Entry(manifest, PlatformOf("linux", host_))});
  layout_.Finish({TestLayout::Entry(index, "", oci::media_type::kIndex)});
  ExpectRefused("", Code::kInvalidArgument);
}

TEST_F(LayoutTest, ManifestAndConfigMustAgreeOnLayers) {
  const TestBlob config = layout_.Add(
      R"({"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[")" + trust::TestDigest('1') + R"("]}})");
  layout_.Finish({TestLayout::Entry(layout_.Add(TestLayout::Manifest(config, {})))});
  ExpectRefused("", Code::kInvalidArgument);
}

TEST_F(LayoutTest, DocumentOfAnotherKindThanItsDescriptorSaysIsRefused) {
  const TestBlob manifest = layout_.AddImage(host_);
  layout_.Finish({TestLayout::Entry(manifest, "", oci::media_type::kIndex)});
  ExpectRefused("", Code::kInvalidArgument);
}

TEST_F(LayoutTest, DigestsCannotLeaveTheLayout) {
  layout_.Finish({});
  WriteTestFile(directory_ / "secret", "secret");
  const auto layout = Layout::Open(layout_.path());
  ASSERT_TRUE(layout);
  for (const std::string& digest : {std::string("sha256:../../../secret"), std::string("../secret:x"), std::string("/etc:passwd"),
                                    std::string(), "sha256:" + std::string(64, 'A'), "sha256:" + std::string(63, 'a')}) {
    const auto bytes = layout->ReadBlob(digest, 1000);
    ASSERT_FALSE(bytes) << digest;
    EXPECT_EQ(bytes.error().code(), Code::kInvalidArgument) << digest;
  }
}

TEST_F(LayoutTest, SymbolicLinksAndSpecialFilesAreNotFollowed) {
  layout_.Finish({});
  const std::string digest = oci::Sha256Digest("secret");
  WriteTestFile(directory_ / "secret", "secret");
  ASSERT_EQ(symlink((directory_ / "secret").c_str(), layout_.BlobPath(digest).c_str()), 0);
  const std::string pipe = trust::TestDigest('1');
  ASSERT_EQ(mkfifo(layout_.BlobPath(pipe).c_str(), 0600), 0);
  const auto layout = Layout::Open(layout_.path());
  ASSERT_TRUE(layout);
  EXPECT_FALSE(layout->ReadBlob(digest, 1000));
  EXPECT_FALSE(layout->ReadBlob(pipe, 1000));
}

TEST_F(LayoutTest, BlobsDirectoryThatIsALinkIsNotFollowed) {
  const TestBlob manifest = layout_.AddImage(host_);
  layout_.Finish({TestLayout::Entry(manifest)});
  ASSERT_EQ(rename((layout_.path() + "/blobs").c_str(), (directory_ / "blobs").c_str()), 0);
  ASSERT_EQ(symlink((directory_ / "blobs").c_str(), (layout_.path() + "/blobs").c_str()), 0);
  EXPECT_FALSE(Resolve(""));
}

TEST_F(LayoutTest, ReadsAreBounded) {
  const TestBlob blob = layout_.Add(std::string(1000, 'x'));
  layout_.Finish({});
  const auto layout = Layout::Open(layout_.path());
  ASSERT_TRUE(layout);
  EXPECT_TRUE(layout->ReadBlob(blob.digest, 1000));
  const auto refused = layout->ReadBlob(blob.digest, 999);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::kResourceExhausted);
}

TEST_F(LayoutTest, WhatIsNoLayoutOfTheKnownVersionIsRefused) {
  EXPECT_FALSE(Layout::Open(directory_ / "absent"));
  EXPECT_FALSE(Layout::Open(layout_.path())) << "no index.json yet";
  layout_.Finish({});
  EXPECT_TRUE(Layout::Open(layout_.path()));
  WriteTestFile(layout_.path() + "/oci-layout", R"({"imageLayoutVersion":"2.0.0"})");
  EXPECT_FALSE(Layout::Open(layout_.path()));
  WriteTestFile(layout_.path() + "/oci-layout", "{}");
  EXPECT_FALSE(Layout::Open(layout_.path()));
}

}  // namespace
}  // namespace bulwark::evidence
