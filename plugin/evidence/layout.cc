#include "plugin/evidence/layout.h"

#include <utility>

#include "lib/base/file_io.h"
#include "lib/oci/digest.h"
#include "lib/oci/image_reference.h"
#include "lib/oci/json_document.h"

namespace bulwark::evidence {
namespace {

using base::Code;
using base::Error;

constexpr size_t kMarkerBytesMax = 4096;
constexpr size_t kConfigBytesMax = size_t{4} << 20;
constexpr std::string_view kContainerdName = "io.containerd.image.name";
constexpr std::string_view kRefName = "org.opencontainers.image.ref.name";

// Signatures, attestations and other referrers lie beside images but are none.
bool IsImage(const oci::Descriptor& entry) {
  const std::string_view name = entry.Annotation(kRefName);
  const std::string_view kind = entry.Annotation("kind");
  return !name.ends_with(".sig") && !name.ends_with(".att") && !name.ends_with(".sbom") && !kind.ends_with("/sigs") &&
         !kind.ends_with("/atts") && entry.artifact_type.empty() && !oci::IsAttestationManifest(entry);
}

bool IsNamed(const oci::Descriptor& entry, const std::string& name) {
  const std::string_view ref_name = entry.Annotation(kRefName);
  if (ref_name == name || entry.digest == name) return true;
  const auto reference = oci::ImageReference::Parse(name);
  if (!reference) return false;
  if (!reference->digest.empty()) return entry.digest == reference->digest;
  const auto full_name = oci::ImageReference::Parse(entry.Annotation(kContainerdName));
  return ref_name == reference->Canonical() || ref_name == reference->tag || (full_name && *full_name == *reference);
}

base::Result<const oci::Descriptor*> FindEntry(const oci::ImageIndex& index, const std::string& name) {
  const oci::Descriptor* found = nullptr;
  size_t images = 0;
  for (const oci::Descriptor& entry : index.manifests) {
    if (!IsImage(entry)) continue;
    ++images;
    if (!name.empty() && !IsNamed(entry, name)) continue;
    if (found != nullptr && found->digest != entry.digest) {
      return Error::Make(Code::kInvalidArgument, "index.json lists several images that \"{}\" could mean", name);
    }
    found = &entry;
  }
  if (found != nullptr) return found;
  return Error::Make(Code::kNotFound, "index.json lists {} images, none of them is \"{}\"", images, name);
}

base::Result<std::string> ReadDescribed(const Layout& layout, const oci::Descriptor& target, size_t max_bytes) {
  ASSIGN_OR_RETURN(std::string bytes, layout.ReadBlob(target.digest, max_bytes));
  if (static_cast<int64_t>(bytes.size()) == target.size) return bytes;
  return Error::Make(Code::kInvalidArgument, "{} has {} bytes, its descriptor says {}", target.digest, bytes.size(),
                     target.size);
}

}  // namespace

base::Result<Layout> Layout::Open(const std::string& path) {
  ASSIGN_OR_RETURN(base::UniqueFd directory, base::OpenDirectory(path));
  return OpenAt(std::move(directory), path);
}

base::Result<Layout> Layout::OpenAt(base::UniqueFd directory, const std::string& path) {
  Layout layout;
  layout.path_ = path;
  layout.directory_ = std::move(directory);
  ASSIGN_OR_RETURN(const std::string marker, base::ReadFileBeneath(layout.directory_, "oci-layout", kMarkerBytesMax));
  ASSIGN_OR_RETURN(const oci::JsonDocument document, oci::JsonDocument::Parse(marker));
  ASSIGN_OR_RETURN(const std::string version, document.root().GetString("imageLayoutVersion"));
  if (version != "1.0.0") return Error::Make(Code::kInvalidArgument, "{}: layout version {} is not 1.0.0", path, version);
  ASSIGN_OR_RETURN(const std::string bytes,
                   base::ReadFileBeneath(layout.directory_, "index.json", oci::kManifestBytesMax));
  auto index = oci::ParseIndex(bytes, oci::media_type::kIndex);
  if (!index) return std::move(index).error().Wrap("{}/index.json", path);
  layout.index_ = std::move(index).value();
  return layout;
}

base::Result<std::string> Layout::ReadBlob(const std::string& digest, size_t max_bytes) const {
  RETURN_IF_ERROR(oci::CheckDigest(digest));
  const std::string name = fmt::format("blobs/{}/{}", oci::DigestAlgorithm(digest), oci::DigestHex(digest));
  auto bytes = base::ReadFileBeneath(directory_, name, max_bytes);
  if (!bytes) return std::move(bytes).error().Wrap("layout {}", path_);
  RETURN_IF_ERROR(oci::VerifyDigest(*bytes, digest));
  return bytes;
}

base::Result<oci::ImageIdentity> Layout::ResolveImage(const std::string& name) const {
  ASSIGN_OR_RETURN(const oci::Descriptor* const entry, FindEntry(index_, name));
  oci::ImageIdentity image;
  if (auto reference = oci::ImageReference::Parse(name)) image.reference = reference->Canonical();
  oci::Descriptor target = *entry;
  if (oci::IsIndexType(target.media_type)) {
    image.index_digest = target.digest;
    ASSIGN_OR_RETURN(const std::string bytes, ReadDescribed(*this, target, oci::kManifestBytesMax));
    ASSIGN_OR_RETURN(const oci::ImageIndex index, oci::ParseIndex(bytes, target.media_type));
    const auto runnable = oci::RunnableManifests(index, oci::HostPlatform());
    if (runnable.empty()) return Error(Code::kNotFound, "the index lists no manifest that runs on this machine");
    target = runnable.front();
  }
  ASSIGN_OR_RETURN(const std::string bytes, ReadDescribed(*this, target, oci::kManifestBytesMax));
  ASSIGN_OR_RETURN(const oci::ImageManifest manifest, oci::ParseManifest(bytes, target.media_type));
  ASSIGN_OR_RETURN(const std::string config_bytes, ReadDescribed(*this, manifest.config, kConfigBytesMax));
  ASSIGN_OR_RETURN(const oci::ImageConfig config, oci::ParseImageConfig(config_bytes));
  if (config.diff_ids.size() != manifest.layers.size()) {
    return Error::Make(Code::kInvalidArgument, "manifest {} has {} layers but its config lists {}", target.digest,
                       manifest.layers.size(), config.diff_ids.size());
  }
  image.manifest_digest = target.digest;
  image.config_digest = manifest.config.digest;
  image.diff_ids = config.diff_ids;
  image.os = config.os;
  image.architecture = config.architecture;
  ASSIGN_OR_RETURN(image.chain_id, oci::ChainId(config.diff_ids));
  return image;
}

}  // namespace bulwark::evidence
