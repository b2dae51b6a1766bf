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
constexpr std::string_view kRefName = "org.opencontainers.image.ref.name";

bool IsSignatureTag(std::string_view name) {
  return name.ends_with(".sig") || name.ends_with(".att") || name.ends_with(".sbom");
}

base::Result<const oci::Descriptor*> FindEntry(const oci::ImageIndex& index, const std::string& name) {
  const auto reference = oci::ImageReference::Parse(name);
  const oci::Descriptor* only = nullptr;
  size_t images = 0;
  for (const oci::Descriptor& entry : index.manifests) {
    const std::string_view ref_name = entry.Annotation(kRefName);
    if (IsSignatureTag(ref_name)) continue;
    if (!name.empty() && (ref_name == name || entry.digest == name)) return &entry;
    if (reference && (ref_name == reference->Canonical() || ref_name == reference->tag)) return &entry;
    only = &entry;
    ++images;
  }
  if (name.empty() && images == 1) return only;
  return Error::Make(Code::kNotFound, "index.json lists {} images, none of them is \"{}\"", images, name);
}

}  // namespace

base::Result<Layout> Layout::Open(const std::string& path) {
  Layout layout;
  layout.path_ = path;
  ASSIGN_OR_RETURN(layout.directory_, base::OpenDirectory(path));
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
    ASSIGN_OR_RETURN(const std::string bytes, ReadBlob(target.digest, oci::kManifestBytesMax));
    ASSIGN_OR_RETURN(const oci::ImageIndex index, oci::ParseIndex(bytes, target.media_type));
    const auto runnable = oci::RunnableManifests(index, oci::HostPlatform());
    if (runnable.empty()) return Error(Code::kNotFound, "the index lists no manifest that runs on this machine");
    target = runnable.front();
  }
  ASSIGN_OR_RETURN(const std::string bytes, ReadBlob(target.digest, oci::kManifestBytesMax));
  ASSIGN_OR_RETURN(const oci::ImageManifest manifest, oci::ParseManifest(bytes, target.media_type));
  ASSIGN_OR_RETURN(const std::string config_bytes, ReadBlob(manifest.config.digest, kConfigBytesMax));
  ASSIGN_OR_RETURN(const oci::ImageConfig config, oci::ParseImageConfig(config_bytes));
  image.manifest_digest = target.digest;
  image.config_digest = manifest.config.digest;
  image.diff_ids = config.diff_ids;
  image.os = config.os;
  image.architecture = config.architecture;
  ASSIGN_OR_RETURN(image.chain_id, oci::ChainId(config.diff_ids));
  return image;
}

}  // namespace bulwark::evidence
