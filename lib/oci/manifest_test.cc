#include "lib/oci/manifest.h"

#include <gtest/gtest.h>

namespace bulwark::oci {
namespace {

const std::string kDigest = "sha256:" + std::string(64, 'a');
const std::string kManifestType(media_type::kManifest);

std::string Entry(const std::string& more = "", const std::string& type = kManifestType) {
  return R"({"mediaType":")" + type + R"(","digest":")" + kDigest + R"(","size":7)" + more + "}";
}

std::string Index(const std::string& entries, const std::string& more = "") {
  return R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[)" + entries + "]" + more + "}";
}

std::string Manifest(const std::string& more = "") {
  return R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":)" + Entry() +
         R"(,"layers":[)" + Entry() + "]" + more + "}";
}

TEST(ManifestTest, ReadsOciAndDocker) {
  EXPECT_TRUE(ParseIndex(Index(Entry()), media_type::kIndex).has_value());
  const auto manifest = ParseManifest(Manifest(R"(,"subject":)" + Entry()), media_type::kManifest);
  ASSERT_TRUE(manifest.has_value()) << manifest.error().message();
  EXPECT_EQ(manifest->layers.size(), 1u);
  EXPECT_TRUE(manifest->subject.has_value());
  const std::string docker = R"({"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":)" +
                             Entry() + R"(,"layers":[]})";
  EXPECT_TRUE(ParseManifest(docker, media_type::kDockerManifest).has_value());
  EXPECT_EQ(DetectMediaType(docker).value(), media_type::kDockerManifest);
}

TEST(ManifestTest, RefusesDocumentsOfTwoKinds) {
  EXPECT_FALSE(ParseIndex(Index(Entry(), R"(,"layers":[])")).has_value());
  EXPECT_FALSE(ParseIndex(Index(Entry(), R"(,"config":{})")).has_value());
  EXPECT_FALSE(ParseManifest(Manifest(R"(,"manifests":[])")).has_value());
  EXPECT_FALSE(ParseManifest(Manifest(R"(,"Manifests":[])")).has_value());
  EXPECT_FALSE(ParseManifest(Index(Entry())).has_value());
  EXPECT_FALSE(ParseIndex(Manifest()).has_value());
}

TEST(ManifestTest, RefusesAnotherTypeThanItsDescriptorPromised) {
  EXPECT_FALSE(ParseManifest(Manifest(), media_type::kDockerManifest).has_value());
  EXPECT_FALSE(ParseManifest(Manifest(), media_type::kIndex).has_value());
  const std::string untyped = R"({"schemaVersion":2,"config":)" + Entry() + R"(,"layers":[]})";
  EXPECT_TRUE(ParseManifest(untyped, media_type::kManifest).has_value());
  EXPECT_FALSE(ParseIndex(untyped, media_type::kIndex).has_value());
}

TEST(ManifestTest, RefusesMalformedDescriptors) {
  for (const std::string& entry :
       {std::string(R"({"mediaType":"x","digest":"sha256:AA","size":1})"), std::string("{}"), std::string("1"),
        R"({"mediaType":"x","digest":")" + kDigest + R"(","size":-1})",
        R"({"mediaType":"x","digest":")" + kDigest + R"(","size":1.5})",
        R"({"mediaType":"x","digest":")" + kDigest + R"(","size":18446744073709551615})"}) {
    EXPECT_FALSE(ParseIndex(Index(entry)).has_value()) << entry;
  }
  EXPECT_FALSE(ParseManifest(R"({"schemaVersion":1,"config":{},"layers":[]})").has_value());
}

TEST(ManifestTest, OnlyImagesForThePlatformAreRunnable) {
  const std::string linux_amd64 = R"(,"platform":{"os":"linux","architecture":"amd64"},"annotations":{"n":"1"})";
  const std::string arm = R"(,"platform":{"os":"linux","architecture":"arm64"})";
  const std::string unknown = R"(,"platform":{"os":"unknown","architecture":"unknown"})";
  const std::string attestation =
      linux_amd64.substr(0, linux_amd64.find(",\"annot")) + R"(,"annotations":{"vnd.docker.reference.type":"attestation-manifest"})";
  const auto index = ParseIndex(Index(Entry() + "," + Entry(arm) + "," + Entry(unknown) + "," + Entry(attestation) + "," +
                                      Entry(linux_amd64, std::string(media_type::kIndex)) + "," + Entry(linux_amd64)));
  ASSERT_TRUE(index.has_value()) << index.error().message();
  const auto runnable = RunnableManifests(*index, {"linux", "amd64", "", ""});
  ASSERT_EQ(runnable.size(), 2u);
  EXPECT_EQ(runnable[0].Annotation("n"), "1");
  EXPECT_FALSE(runnable[1].platform.has_value());
}

TEST(ManifestTest, ReadsImageConfig) {
  const auto config = ParseImageConfig(R"({"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[")" + kDigest +
                                       R"("]},"config":{"User":"1000","Entrypoint":["/a"],"Labels":{"K":"1","k":"2"}}})");
  ASSERT_TRUE(config.has_value()) << config.error().message();
  EXPECT_EQ(config->user, "1000");
  EXPECT_EQ(config->labels.size(), 2u);
  EXPECT_FALSE(ParseImageConfig(R"({"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}})").has_value());
  EXPECT_FALSE(ParseImageConfig(R"({"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["x"]}})").has_value());
}

}  // namespace
}  // namespace bulwark::oci
