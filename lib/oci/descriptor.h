// Plain data: how one piece of content points at another (OCI image-spec, descriptor.md), and the media types we know.
#pragma once

#include <stdint.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bulwark::oci {

namespace media_type {
inline constexpr std::string_view kIndex = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view kManifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kConfig = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view kDockerList = "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view kDockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kDockerConfig = "application/vnd.docker.container.image.v1+json";
}  // namespace media_type

struct Platform {
  std::string os;
  std::string architecture;
  std::string variant;
  std::string os_version;
};

struct Descriptor {
  std::string media_type;
  std::string digest;  // checked by oci::CheckDigest
  int64_t size = 0;    // bytes, never negative
  std::string artifact_type;
  std::optional<Platform> platform;
  std::vector<std::pair<std::string, std::string>> annotations;

  // The value of an annotation, or empty.
  std::string_view Annotation(std::string_view key) const {
    for (const auto& [name, value] : annotations) {
      if (name == key) return value;
    }
    return {};
  }
};

}  // namespace bulwark::oci
