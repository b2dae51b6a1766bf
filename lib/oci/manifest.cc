#include "lib/oci/manifest.h"

#include <algorithm>

#include "lib/oci/digest.h"
#include "lib/oci/json_document.h"

namespace bulwark::oci {

using base::Code;
using base::Error;
using base::Result;

namespace {

constexpr JsonLimits kLimits = {kManifestBytesMax, 32, 200'000};

Result<Platform> ParsePlatform(JsonValue json) {
  Platform platform;
  ASSIGN_OR_RETURN(platform.os, json.GetStringOr("os", ""));
  ASSIGN_OR_RETURN(platform.architecture, json.GetStringOr("architecture", ""));
  ASSIGN_OR_RETURN(platform.variant, json.GetStringOr("variant", ""));
  ASSIGN_OR_RETURN(platform.os_version, json.GetStringOr("os.version", ""));
  return platform;
}

Result<Descriptor> ParseDescriptor(JsonValue json) {
  Descriptor descriptor;
  ASSIGN_OR_RETURN(descriptor.media_type, json.GetString("mediaType"));
  ASSIGN_OR_RETURN(descriptor.digest, json.GetString("digest"));
  RETURN_IF_ERROR(CheckDigest(descriptor.digest));
  ASSIGN_OR_RETURN(descriptor.size, json.GetInt64("size"));
  if (descriptor.size < 0) return Error(Code::kInvalidArgument, "negative size");
  ASSIGN_OR_RETURN(descriptor.artifact_type, json.GetStringOr("artifactType", ""));
  ASSIGN_OR_RETURN(descriptor.annotations, json.GetStringMapOr("annotations"));
  ASSIGN_OR_RETURN(const JsonValue platform, json.GetObjectOr("platform"));
  if (!platform.IsNull()) {
    ASSIGN_OR_RETURN(descriptor.platform, ParsePlatform(platform));
  }
  return descriptor;
}

Result<std::vector<Descriptor>> ParseDescriptors(JsonValue array, size_t entries_max) {
  if (array.size() > entries_max) {
    return Error::Make(Code::kResourceExhausted, "{} descriptors, limit {}", array.size(),
                       entries_max);
  }
  std::vector<Descriptor> descriptors;
  descriptors.reserve(array.size());
  for (size_t i = 0; i < array.size(); ++i) {
    auto descriptor = ParseDescriptor(array.at(i));
    if (!descriptor.has_value()) return std::move(descriptor).error().Wrap("entry {}", i);
    descriptors.push_back(std::move(*descriptor));
  }
  return descriptors;
}

Result<std::optional<Descriptor>> ParseSubject(JsonValue root) {
  ASSIGN_OR_RETURN(const JsonValue subject, root.GetObjectOr("subject"));
  if (subject.IsNull()) return std::optional<Descriptor>();
  auto descriptor = ParseDescriptor(subject);
  if (!descriptor.has_value()) return std::move(descriptor).error().Wrap("subject");
  return std::optional<Descriptor>(std::move(*descriptor));
}

// Which kind a document is, by all of its fields: never by mediaType alone, which is the one an attacker writes.
Result<std::string> MediaTypeOf(JsonValue root) {
  if (!root.IsObject()) return Error(Code::kInvalidArgument, "is no JSON object");
  ASSIGN_OR_RETURN(const int64_t version, root.GetInt64("schemaVersion"));
  if (version != 2) return Error::Make(Code::kInvalidArgument, "schemaVersion {}", version);
  const bool lists = !root.Find("manifests").IsNull();
  const bool has_layers = !root.Find("layers").IsNull() || !root.Find("config").IsNull() ||
                          !root.Find("fsLayers").IsNull();
  if (lists && has_layers) return Error(Code::kInvalidArgument, "is both index and manifest");
  ASSIGN_OR_RETURN(std::string type, root.GetStringOr("mediaType", ""));
  if (type.empty()) {
    if (lists) return std::string(media_type::kIndex);
    if (has_layers) return std::string(media_type::kManifest);
    return Error(Code::kInvalidArgument, "is neither index nor manifest");
  }
  if ((IsIndexType(type) && !has_layers) || (IsManifestType(type) && !lists)) return type;
  return Error::Make(Code::kInvalidArgument, "media type {} does not fit its fields",
                     type.substr(0, 120));
}

// The media type to go by: the document's own if it names one (then `expected` must agree), else `expected`.
Result<std::string> AgreedType(JsonValue root, std::string_view expected) {
  ASSIGN_OR_RETURN(std::string type, MediaTypeOf(root));
  if (expected.empty() || type == expected) return type;
  const bool same_kind = (IsIndexType(type) && IsIndexType(expected)) ||
                         (IsManifestType(type) && IsManifestType(expected));
  if (root.Find("mediaType").IsNull() && same_kind) return std::string(expected);
  return Error::Make(Code::kInvalidArgument, "media type {}, but its descriptor said {}",
                     type.substr(0, 120), expected.substr(0, 120));
}

Result<ImageIndex> IndexFrom(std::string_view bytes, std::string_view expected) {
  ASSIGN_OR_RETURN(const JsonDocument document, JsonDocument::Parse(bytes, kLimits));
  const JsonValue root = document.root();
  RETURN_IF_ERROR(RefuseCaseVariants(
      root, {"schemaVersion", "mediaType", "manifests", "subject", "layers", "config"}, "index"));
  ImageIndex index;
  ASSIGN_OR_RETURN(index.media_type, AgreedType(root, expected));
  if (!IsIndexType(index.media_type)) return Error(Code::kInvalidArgument, "is a manifest");
  ASSIGN_OR_RETURN(const JsonValue manifests, root.GetArray("manifests"));
  ASSIGN_OR_RETURN(index.manifests, ParseDescriptors(manifests, kIndexEntriesMax));
  ASSIGN_OR_RETURN(index.artifact_type, root.GetStringOr("artifactType", ""));
  ASSIGN_OR_RETURN(index.subject, ParseSubject(root));
  ASSIGN_OR_RETURN(index.annotations, root.GetStringMapOr("annotations"));
  return index;
}

Result<ImageManifest> ManifestFrom(std::string_view bytes, std::string_view expected) {
  ASSIGN_OR_RETURN(const JsonDocument document, JsonDocument::Parse(bytes, kLimits));
  const JsonValue root = document.root();
  RETURN_IF_ERROR(RefuseCaseVariants(
      root, {"schemaVersion", "mediaType", "manifests", "subject", "layers", "config"},
      "manifest"));
  ImageManifest manifest;
  ASSIGN_OR_RETURN(manifest.media_type, AgreedType(root, expected));
  if (!IsManifestType(manifest.media_type)) return Error(Code::kInvalidArgument, "is an index");
  ASSIGN_OR_RETURN(const JsonValue config, root.GetObject("config"));
  auto descriptor = ParseDescriptor(config);
  if (!descriptor.has_value()) return std::move(descriptor).error().Wrap("config");
  manifest.config = std::move(*descriptor);
  ASSIGN_OR_RETURN(const JsonValue layers, root.GetArray("layers"));
  ASSIGN_OR_RETURN(manifest.layers, ParseDescriptors(layers, kLayersMax));
  ASSIGN_OR_RETURN(manifest.artifact_type, root.GetStringOr("artifactType", ""));
  ASSIGN_OR_RETURN(manifest.subject, ParseSubject(root));
  ASSIGN_OR_RETURN(manifest.annotations, root.GetStringMapOr("annotations"));
  return manifest;
}

Result<ImageConfig> ConfigFrom(std::string_view bytes) {
  ASSIGN_OR_RETURN(const JsonDocument document, JsonDocument::Parse(bytes, kLimits));
  const JsonValue root = document.root();
  if (!root.IsObject()) return Error(Code::kInvalidArgument, "is no JSON object");
  RETURN_IF_ERROR(
      RefuseCaseVariants(root, {"os", "architecture", "variant", "rootfs", "config"}, "config"));
  ImageConfig image;
  ASSIGN_OR_RETURN(image.os, root.GetString("os"));
  ASSIGN_OR_RETURN(image.architecture, root.GetString("architecture"));
  ASSIGN_OR_RETURN(image.variant, root.GetStringOr("variant", ""));
  ASSIGN_OR_RETURN(const JsonValue rootfs, root.GetObject("rootfs"));
  RETURN_IF_ERROR(RefuseCaseVariants(rootfs, {"type", "diff_ids"}, "rootfs"));
  ASSIGN_OR_RETURN(const std::string type, rootfs.GetString("type"));
  if (type != "layers") return Error(Code::kInvalidArgument, "rootfs type is not \"layers\"");
  ASSIGN_OR_RETURN(image.diff_ids, rootfs.GetStringArrayOr("diff_ids"));
  if (image.diff_ids.empty()) return Error(Code::kInvalidArgument, "rootfs has no diff_ids");
  if (image.diff_ids.size() > kLayersMax) {
    return Error::Make(Code::kResourceExhausted, "{} diff_ids", image.diff_ids.size());
  }
  for (const std::string& diff_id : image.diff_ids) {
    RETURN_IF_ERROR(CheckDigest(diff_id));
    if (DigestAlgorithm(diff_id) != "sha256") {
      return Error::Make(Code::kInvalidArgument, "diff_id {} is not sha256", diff_id);
    }
  }
  ASSIGN_OR_RETURN(const JsonValue config, root.GetObjectOr("config"));
  ASSIGN_OR_RETURN(image.user, config.GetStringOr("User", ""));
  ASSIGN_OR_RETURN(image.entrypoint, config.GetStringArrayOr("Entrypoint"));
  ASSIGN_OR_RETURN(image.cmd, config.GetStringArrayOr("Cmd"));
  ASSIGN_OR_RETURN(image.labels, config.GetStringMapOr("Labels"));
  return image;
}

template <typename T>
Result<T> InContext(std::string_view what, Result<T> result) {
  if (!result.has_value()) return std::move(result).error().Wrap("parsing {}", what);
  return result;
}

// arm variants by decreasing fit; the others have at most one variant in use.
int VariantRank(const Platform& wanted, const Platform& offered) {
  const auto normal = [](const Platform& platform) {
    if (platform.architecture == "arm64" && platform.variant == "v8") return std::string();
    if (platform.architecture == "amd64" && platform.variant == "v1") return std::string();
    return platform.variant;
  };
  if (normal(wanted) == normal(offered)) return 0;
  return offered.variant.empty() ? 1 : 2;
}

}  // namespace

bool IsIndexType(std::string_view type) {
  return type == media_type::kIndex || type == media_type::kDockerList;
}

bool IsManifestType(std::string_view type) {
  return type == media_type::kManifest || type == media_type::kDockerManifest;
}

Result<ImageIndex> ParseIndex(std::string_view bytes, std::string_view expected) {
  return InContext("image index", IndexFrom(bytes, expected));
}

Result<ImageManifest> ParseManifest(std::string_view bytes, std::string_view expected) {
  return InContext("image manifest", ManifestFrom(bytes, expected));
}

Result<ImageConfig> ParseImageConfig(std::string_view bytes) {
  return InContext("image config", ConfigFrom(bytes));
}

Result<std::string> DetectMediaType(std::string_view bytes) {
  auto document = JsonDocument::Parse(bytes, kLimits);
  if (!document.has_value()) return std::move(document).error().Wrap("parsing manifest or index");
  return InContext("manifest or index", MediaTypeOf(document->root()));
}

bool IsAttestationManifest(const Descriptor& entry) {
  if (!entry.Annotation("vnd.docker.reference.type").empty()) return true;
  return entry.platform.has_value() &&
         (entry.platform->os == "unknown" || entry.platform->architecture == "unknown");
}

std::vector<Descriptor> RunnableManifests(const ImageIndex& index, const Platform& platform) {
  std::vector<std::pair<int, const Descriptor*>> ranked;
  for (const Descriptor& entry : index.manifests) {
    if (!IsManifestType(entry.media_type) || IsAttestationManifest(entry)) continue;
    if (!entry.artifact_type.empty()) continue;
    if (!entry.platform.has_value()) {
      ranked.emplace_back(3, &entry);
    } else if (entry.platform->os == platform.os &&
               entry.platform->architecture == platform.architecture) {
      ranked.emplace_back(VariantRank(platform, *entry.platform), &entry);
    }
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Descriptor> manifests;
  manifests.reserve(ranked.size());
  for (const auto& [rank, entry] : ranked) manifests.push_back(*entry);
  return manifests;
}

Platform HostPlatform() {
#if defined(__x86_64__)
  return {"linux", "amd64", "", ""};
#elif defined(__aarch64__)
  return {"linux", "arm64", "", ""};
#elif defined(__riscv)
  return {"linux", "riscv64", "", ""};
#elif defined(__s390x__)
  return {"linux", "s390x", "", ""};
#elif defined(__powerpc64__)
  return {"linux", "ppc64le", "", ""};
#else
#error "name this architecture as Go does"
#endif
}

}  // namespace bulwark::oci
