// For tests: evidence directories and OCI layouts on disk.
#pragma once

#include <fmt/ranges.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/check.h"
#include "lib/base/file_io.h"
#include "lib/oci/digest.h"
#include "plugin/trust/signing_test_support.h"

namespace bulwark::evidence {

// A directory that only we can write to, gone with the object.
class TestDirectory {
 public:
  TestDirectory() {
    char name[] = "/tmp/evidence_test_XXXXXX";
    BULWARK_CHECK(mkdtemp(name) != nullptr);
    path_ = name;
  }
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;
  ~TestDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const { return fmt::format("{}/{}", path_, name); }

 private:
  std::string path_;
};

inline void WriteTestFile(const std::string& path, std::string_view bytes) {
  BULWARK_CHECK(base::MakeDirectories(path.substr(0, path.rfind('/')), 0755).has_value());
  BULWARK_CHECK(base::ReplaceFile(path, bytes, 0644, false).has_value());
}

struct TestBlob {
  std::string digest;
  size_t size = 0;
};

// Builds a layout blob by blob; index.json is written by Finish().
class TestLayout {
 public:
  explicit TestLayout(std::string path) : path_(std::move(path)) {
    WriteTestFile(path_ + "/oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
    BULWARK_CHECK(base::MakeDirectories(path_ + "/blobs/sha256", 0755).has_value());
  }

  const std::string& path() const { return path_; }
  std::string BlobPath(std::string_view digest) const {
    return fmt::format("{}/blobs/sha256/{}", path_, oci::DigestHex(digest));
  }

  TestBlob Add(std::string_view bytes) {
    const std::string digest = oci::Sha256Digest(bytes);
    WriteTestFile(BlobPath(digest), bytes);
    return {digest, bytes.size()};
  }

  // An entry of an index: `more` are further members, with a leading comma.
  static std::string Entry(const TestBlob& blob, std::string_view more = "",
                           std::string_view type = "application/vnd.oci.image.manifest.v1+json") {
    return fmt::format(R"({{"mediaType":"{}","digest":"{}","size":{}{}}})", type, blob.digest, blob.size, more);
  }
  static std::string Annotated(std::string_view key, std::string_view value) {
    return fmt::format(R"(,"annotations":{{"{}":"{}"}})", key, value);
  }
  static std::string Named(std::string_view name) { return Annotated("org.opencontainers.image.ref.name", name); }

  TestBlob AddIndex(const std::vector<std::string>& entries) { return Add(Index(entries)); }

  // An image with as many layers as `diff_ids`; the layers themselves are not there, nobody reads them.
  TestBlob AddImage(std::string_view architecture, int layers = 1) {
    std::vector<std::string> diff_ids;
    std::vector<std::string> descriptors;
    for (int i = 0; i < layers; ++i) {
      const std::string digest = trust::TestDigest(static_cast<char>('0' + i));
      diff_ids.push_back("\"" + digest + "\"");
      descriptors.push_back(Entry({digest, 10}, "", "application/vnd.oci.image.layer.v1.tar+gzip"));
    }
    const TestBlob config = Add(fmt::format(
        R"({{"os":"linux","architecture":"{}","rootfs":{{"type":"layers","diff_ids":[{}]}},"config":{{}}}})",
        architecture, fmt::join(diff_ids, ",")));
    return Add(Manifest(config, descriptors));
  }

  // A cosign signature image; `more` are further members of its manifest, with a leading comma.
  TestBlob AddSignature(const trust::SignatureCandidate& candidate, std::string_view more = "") {
    const TestBlob payload = Add(candidate.payload);
    const std::string layer =
        Entry(payload, Annotated("dev.cosignproject.cosign/signature", candidate.signature_base64),
              "application/vnd.dev.cosign.simplesigning.v1+json");
    return Add(Manifest({trust::TestDigest('c'), 2}, {layer}, more));
  }

  static std::string Manifest(const TestBlob& config, const std::vector<std::string>& layers, std::string_view more = "") {
    return fmt::format(
        R"({{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{},"layers":[{}]{}}})",
        Entry(config, "", "application/vnd.oci.image.config.v1+json"), fmt::join(layers, ","), more);
  }

  void Finish(const std::vector<std::string>& entries) { WriteTestFile(path_ + "/index.json", Index(entries)); }

 private:
  static std::string Index(const std::vector<std::string>& entries) {
    return fmt::format(
        R"({{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{}]}})",
        fmt::join(entries, ","));
  }

  std::string path_;
};

}  // namespace bulwark::evidence
