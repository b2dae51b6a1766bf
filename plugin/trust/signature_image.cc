#include "plugin/trust/signature_image.h"

#include <utility>

#include "lib/oci/digest.h"
#include "lib/oci/manifest.h"
#include "plugin/trust/cosign_verifier.h"
#include "plugin/trust/simple_signing.h"

namespace bulwark::trust {
namespace {

constexpr std::string_view kLayerType = "application/vnd.dev.cosign.simplesigning.v1+json";
constexpr std::string_view kSignatureAnnotation = "dev.cosignproject.cosign/signature";

base::Result<std::string> ReadPayload(const oci::Descriptor& layer, const BlobReader& read) {
  if (layer.size > static_cast<int64_t>(kPayloadBytesMax)) {
    return base::Error::Make(base::Code::kResourceExhausted, "payload is said to be {} bytes", layer.size);
  }
  ASSIGN_OR_RETURN(std::string bytes, read(layer.digest, kPayloadBytesMax));
  if (static_cast<int64_t>(bytes.size()) != layer.size) {
    return base::Error(base::Code::kDataLoss, "payload is not as large as its descriptor says");
  }
  RETURN_IF_ERROR(oci::VerifyDigest(bytes, layer.digest));
  return bytes;
}

}  // namespace

void CollectSignatures(std::string_view manifest_bytes, const std::string& source, const BlobReader& read,
                       SignatureEvidence& evidence) {
  const auto manifest = oci::ParseManifest(manifest_bytes);
  if (!manifest) {
    evidence.problems.push_back({source, manifest.error().message()});
    return;
  }
  for (const oci::Descriptor& layer : manifest->layers) {
    if (layer.media_type != kLayerType) continue;
    if (evidence.candidates.size() >= kCandidatesMax) {
      evidence.is_cut = true;
      return;
    }
    auto payload = ReadPayload(layer, read);
    if (!payload) {
      evidence.problems.push_back({source, payload.error().message()});
      continue;
    }
    evidence.candidates.push_back(
        {source, std::move(payload).value(), layer.digest, std::string(layer.Annotation(kSignatureAnnotation))});
  }
}

std::string SignatureTag(std::string_view digest) {
  return fmt::format("{}-{}.sig", oci::DigestAlgorithm(digest), oci::DigestHex(digest));
}

}  // namespace bulwark::trust
