#include "plugin/admission/content_signatures.h"

#include "lib/oci/image_reference.h"
#include "lib/oci/manifest.h"
#include "plugin/trust/signature_image.h"

namespace bulwark::admission {

void ContentSignatures::Find(const std::string& containerd_namespace, const oci::ImageIdentity& image,
                             trust::SignatureEvidence& evidence) {
  const auto reference = oci::ImageReference::Parse(image.reference);
  if (!reference) return;
  const trust::BlobReader read = [&](const std::string& digest, size_t max_bytes) {
    return client_.ReadBlob(containerd_namespace, digest, max_bytes);
  };
  for (const std::string& digest : {image.manifest_digest, image.index_digest}) {
    if (digest.empty()) continue;
    const std::string name = reference->Repository() + ":" + trust::SignatureTag(digest);
    const std::string source = fmt::format("content store {}", name);
    evidence.searched.push_back(source);
    const auto target = client_.GetImage(containerd_namespace, name);
    if (!target) {
      if (target.error().code() != base::Code::kNotFound) evidence.problems.push_back({source, target.error().message()});
      continue;
    }
    const auto manifest = read(target->digest, oci::kManifestBytesMax);
    if (!manifest) {
      evidence.problems.push_back({source, manifest.error().message()});
      continue;
    }
    trust::CollectSignatures(*manifest, source, read, evidence);
  }
}

}  // namespace bulwark::admission
