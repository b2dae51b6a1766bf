#include "plugin/trust/signature_image.h"

#include <algorithm>
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

// The same signature from two places must not use up two of the tries.
bool IsKnown(const SignatureEvidence& evidence, std::string_view payload_digest, std::string_view signature) {
  return std::any_of(evidence.candidates.begin(), evidence.candidates.end(), [&](const SignatureCandidate& candidate) {
    return candidate.payload_digest == payload_digest && candidate.signature_base64 == signature;
  });
}

}  // namespace

void CollectSignatures(std::string_view manifest_bytes, const std::string& source, const BlobReader& read,
                       SignatureEvidence& evidence) {
  const auto manifest = oci::ParseManifest(manifest_bytes);
  if (!manifest) {
    // Too many layers to be read at all is a flood as well, not a broken object.
    if (manifest.error().code() == base::Code::kResourceExhausted) evidence.is_cut = true;
    evidence.problems.push_back({source, manifest.error().message()});
    return;
  }
  for (const oci::Descriptor& layer : manifest->layers) {
    if (layer.media_type != kLayerType) continue;
    const std::string_view signature = layer.Annotation(kSignatureAnnotation);
    if (IsKnown(evidence, layer.digest, signature)) continue;
    if (evidence.candidates.size() >= kCandidatesMax) {
      evidence.is_cut = true;
      return;
    }
    auto payload = ReadPayload(layer, read);
    if (!payload) {
      if (evidence.problems.size() < kProblemsMax) evidence.problems.push_back({source, payload.error().message()});
      continue;
    }
    evidence.candidates.push_back({source, std::move(payload).value(), layer.digest, std::string(signature)});
  }
}

std::string SignatureTag(std::string_view digest) {
  return fmt::format("{}-{}.sig", oci::DigestAlgorithm(digest), oci::DigestHex(digest));
}

}  // namespace bulwark::trust
