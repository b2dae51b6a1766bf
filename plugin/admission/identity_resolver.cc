#include "plugin/admission/identity_resolver.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "lib/base/result.h"
#include "lib/oci/digest.h"
#include "lib/oci/image_reference.h"
#include "lib/oci/manifest.h"
#include "plugin/admission/mount_match.h"

namespace bulwark::admission {
namespace {

using base::Code;
using base::Error;
namespace reason = policy::reason;

constexpr size_t kConfigBytesMax = size_t{4} << 20;

ResolvedIdentity Refuse(ResolvedIdentity found, std::string_view code, std::string detail) {
  found.step.check = "identity";
  found.step.satisfied = false;
  found.step.code = code;
  found.step.detail = std::move(detail);
  return found;
}

// containerd being away or slow is not the image's fault and gets its own code.
std::string_view CodeFor(const Error& error, std::string_view otherwise) {
  const bool away = error.code() == Code::kUnavailable || error.code() == Code::kDeadlineExceeded;
  return away ? reason::kIdentityUnresolved : otherwise;
}

struct FoundManifest {
  std::string manifest_digest;
  std::string config_digest;
  std::string chain_id;
  oci::ImageConfig config;
};

// The blob has the size its descriptor says, beside the digest that ReadBlob checks: a descriptor that lies about one of
// the two was not written by whoever wrote the blob.
base::Result<std::string> ReadSized(containerd::Client& client, const std::string& ns, const std::string& digest,
                                    int64_t size, size_t max_bytes) {
  ASSIGN_OR_RETURN(std::string bytes, client.ReadBlob(ns, digest, max_bytes));
  if (static_cast<int64_t>(bytes.size()) != size) {
    return Error::Make(Code::kDataLoss, "blob {} has {} bytes, its descriptor says {}", digest, bytes.size(), size);
  }
  return bytes;
}

base::Result<FoundManifest> ReadManifest(containerd::Client& client, const std::string& ns, const std::string& digest,
                                         int64_t size, std::string_view media_type) {
  ASSIGN_OR_RETURN(const std::string bytes, ReadSized(client, ns, digest, size, oci::kManifestBytesMax));
  ASSIGN_OR_RETURN(const oci::ImageManifest manifest, oci::ParseManifest(bytes, media_type));
  ASSIGN_OR_RETURN(const std::string config_bytes,
                   ReadSized(client, ns, manifest.config.digest, manifest.config.size, kConfigBytesMax));
  ASSIGN_OR_RETURN(oci::ImageConfig config, oci::ParseImageConfig(config_bytes));
  if (config.diff_ids.size() != manifest.layers.size()) {
    return Error::Make(Code::kInvalidArgument, "manifest {} has {} layers but its config lists {}", digest,
                       manifest.layers.size(), config.diff_ids.size());
  }
  ASSIGN_OR_RETURN(std::string chain_id, oci::ChainId(config.diff_ids));
  return FoundManifest{digest, manifest.config.digest, std::move(chain_id), std::move(config)};
}

// Among the manifests an index offers for this machine: the one whose layers the container stands on. Manifests of
// other platforms are often not in the store; that is no error as long as the right one is.
base::Result<FoundManifest> ChooseManifest(containerd::Client& client, const std::string& ns,
                                           const oci::ImageIndex& index, const std::string& expected_chain_id) {
  std::optional<Error> first_error;
  std::optional<FoundManifest> first_found;
  for (const oci::Descriptor& entry : oci::RunnableManifests(index, oci::HostPlatform())) {
    auto found = ReadManifest(client, ns, entry.digest, entry.size, entry.media_type);
    if (!found) {
      if (!first_error) first_error = std::move(found).error();
      continue;
    }
    if (expected_chain_id.empty() || found->chain_id == expected_chain_id) return std::move(found).value();
    if (!first_found) first_found = std::move(found).value();
  }
  if (first_found) return std::move(*first_found);
  if (first_error) return std::move(*first_error);
  return Error(Code::kNotFound, "the index lists no manifest that runs on this machine");
}

std::string CanonicalOrEmpty(const std::string& name) {
  auto reference = oci::ImageReference::Parse(name);
  return reference ? reference->Canonical() : std::string();
}

}  // namespace

ResolvedIdentity IdentityResolver::ResolveContainer(const std::string& ns, const std::string& container_id,
                                                    const std::vector<containerd::Mount>& rootfs) {
  ResolvedIdentity found;
  const auto container = client_.GetContainer(ns, container_id);
  if (!container) return Refuse(std::move(found), reason::kIdentityUnresolved, container.error().message());
  if (container->image.empty() || container->snapshotter.empty()) {
    return Refuse(std::move(found), reason::kIdentityNoImage,
                  fmt::format("container {} has no image or no snapshot in containerd: its root file system cannot be "
                              "traced to anything that is signed",
                              container_id));
  }
  found.image.reference = CanonicalOrEmpty(container->image);
  const auto snapshot = client_.StatSnapshot(ns, container->snapshotter, container->snapshot_key);
  if (!snapshot) return Refuse(std::move(found), reason::kIdentityUnresolved, snapshot.error().message());
  const auto mounts = client_.SnapshotMounts(ns, container->snapshotter, container->snapshot_key);
  if (!mounts) return Refuse(std::move(found), reason::kIdentityUnresolved, mounts.error().message());
  if (!std::equal(rootfs.begin(), rootfs.end(), mounts->begin(), mounts->end(), IsSameMount)) {
    return Refuse(std::move(found), reason::kIdentityMountsMismatch,
                  fmt::format("the root file system asked for is not snapshot {} of {}", container->snapshot_key,
                              container->snapshotter));
  }
  found = ResolveName(ns, container->image, snapshot->parent);
  if (!found.step.satisfied) return found;
  if (found.image.chain_id != snapshot->parent) {
    return Refuse(std::move(found), reason::kIdentityContentMismatch,
                  fmt::format("the container stands on layers {}, but {} now names layers {}: the name was moved to other "
                              "content after the container was made",
                              snapshot->parent, container->image, found.image.chain_id));
  }
  found.step.evidence.push_back(snapshot->parent);
  return found;
}

ResolvedIdentity IdentityResolver::ResolveImage(const std::string& ns, const std::string& name) {
  return ResolveName(ns, name, "");
}

ResolvedIdentity IdentityResolver::ResolveName(const std::string& ns, const std::string& name,
                                               const std::string& expected_chain_id) {
  ResolvedIdentity found;
  found.image.reference = CanonicalOrEmpty(name);
  const auto target = client_.GetImage(ns, name);
  if (!target) {
    return Refuse(std::move(found), CodeFor(target.error(), reason::kIdentityImageMissing), target.error().message());
  }
  base::Result<FoundManifest> manifest = Error(Code::kInternal, "not resolved");
  if (oci::IsIndexType(target->media_type)) {
    found.image.index_digest = target->digest;
    const auto bytes = ReadSized(client_, ns, target->digest, target->size, oci::kManifestBytesMax);
    if (!bytes) return Refuse(std::move(found), CodeFor(bytes.error(), reason::kIdentityInvalid), bytes.error().message());
    const auto index = oci::ParseIndex(*bytes, target->media_type);
    if (!index) return Refuse(std::move(found), reason::kIdentityInvalid, index.error().message());
    manifest = ChooseManifest(client_, ns, *index, expected_chain_id);
  } else {
    manifest = ReadManifest(client_, ns, target->digest, target->size, target->media_type);
  }
  if (!manifest) {
    return Refuse(std::move(found), CodeFor(manifest.error(), reason::kIdentityInvalid), manifest.error().message());
  }
  found.image.manifest_digest = manifest->manifest_digest;
  found.image.config_digest = manifest->config_digest;
  found.image.chain_id = manifest->chain_id;
  found.image.diff_ids = manifest->config.diff_ids;
  found.image.os = manifest->config.os;
  found.image.architecture = manifest->config.architecture;
  found.step = {"identity", true, std::string(reason::kOk), fmt::format("{} is manifest {}", name, manifest->manifest_digest), {}};
  for (const std::string& digest : {found.image.index_digest, found.image.manifest_digest, found.image.config_digest}) {
    if (!digest.empty()) found.step.evidence.push_back(digest);
  }
  return found;
}

}  // namespace bulwark::admission
