// Image index, image manifest and image config: OCI image-spec 1.1 (image-index.md, manifest.md, config.md) and Docker
// schema 2 (distribution, manifest-v2-2.md). Parsed strictly, because these bytes decide what a signature covers and
// what runs: a document that could be read as index and as manifest is refused (CVE-2021-41190), and so is one whose
// mediaType is not the one its descriptor promised. Schema 1 is not supported.
//
// The caller hashes the bytes and compares size and digest with the descriptor that led to them before parsing.
// Pure; any thread. Errors: kInvalidArgument for malformed documents, kResourceExhausted above the limits.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/result.h"
#include "lib/oci/descriptor.h"

namespace bulwark::oci {

inline constexpr size_t kManifestBytesMax = 4u << 20;  // what registries accept
inline constexpr size_t kIndexEntriesMax = 4096;
inline constexpr size_t kLayersMax = 1024;

struct ImageIndex {
  std::string media_type;  // kIndex or kDockerList
  std::string artifact_type;
  std::vector<Descriptor> manifests;
  std::optional<Descriptor> subject;
  std::vector<std::pair<std::string, std::string>> annotations;
};

struct ImageManifest {
  std::string media_type;  // kManifest or kDockerManifest
  std::string artifact_type;
  Descriptor config;
  std::vector<Descriptor> layers;
  std::optional<Descriptor> subject;
  std::vector<std::pair<std::string, std::string>> annotations;
};

struct ImageConfig {
  std::string os;
  std::string architecture;
  std::string variant;
  std::vector<std::string> diff_ids;  // sha256 digests of the uncompressed layers, bottom first; never empty
  std::string user;
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::vector<std::pair<std::string, std::string>> labels;
};

bool IsIndexType(std::string_view media_type);
bool IsManifestType(std::string_view media_type);

// `expected` is the media type of the descriptor that led here; empty if there was none (then the document must name
// its own, or be unmistakable by its fields).
base::Result<ImageIndex> ParseIndex(std::string_view bytes, std::string_view expected = {});
base::Result<ImageManifest> ParseManifest(std::string_view bytes, std::string_view expected = {});
base::Result<ImageConfig> ParseImageConfig(std::string_view bytes);

// The media type of a document by itself: mediaType if present, else by its fields. kInvalidArgument if it is neither
// index nor manifest, or both.
base::Result<std::string> DetectMediaType(std::string_view bytes);

// Whether an index entry is a BuildKit attestation manifest (platform unknown/unknown, or marked by annotation). It is
// covered by a signature on the index, but it never is an image to run.
bool IsAttestationManifest(const Descriptor& entry);

// The entries of the index that could run on the platform, best first: same os and architecture, variant equal before
// absent before lower (arm), entries without a platform last. Attestation manifests and nested indexes are never among
// them. Which of several really runs is decided by the chain ID of the container's snapshot, not here.
std::vector<Descriptor> RunnableManifests(const ImageIndex& index, const Platform& platform);

// The platform of this machine in Go's words: "linux", "amd64" or "arm64" (…), no variant.
Platform HostPlatform();

}  // namespace bulwark::oci
