// Bytes that somebody signed, that stand where a signature or a key should, or that are a signature image: nothing
// crashes, and nothing that a key of the rule did not sign is ever accepted.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <string>

#include "plugin/trust/cosign_verifier.h"
#include "plugin/trust/signature_image.h"
#include "plugin/trust/signing_test_support.h"
#include "plugin/trust/simple_signing.h"

namespace {

namespace trust = bulwark::trust;

void Require(bool holds) {
  if (!holds) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const trust::TestKey key = trust::TestKey::Ed25519();
  static const trust::SignatureRequirement requirement = [] {
    trust::SignatureRequirement made;
    made.authorities = {{"build", {key.Pem()}, {"/k.pub"}}};
    return made;
  }();
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const auto image = trust::TestImage();

  // Genuinely signed: accepted exactly when the payload is well formed and names the image.
  const auto payload = trust::ParseSimpleSigning(bytes);
  trust::SignatureEvidence genuine;
  genuine.candidates = {trust::TestCandidate(key, bytes)};
  const auto step = VerifySignatures(requirement, image, genuine);
  Require(!step.satisfied || (payload && (payload->manifest_digest == image.manifest_digest ||
                                          payload->manifest_digest == image.index_digest)));

  trust::SignatureEvidence forged;
  forged.candidates = {{"fuzz", trust::TestPayload(image.manifest_digest), "", bytes}};
  trust::CollectSignatures(
      bytes, "fuzz", [&](const std::string&, size_t) -> bulwark::base::Result<std::string> { return bytes; }, forged);
  Require(!VerifySignatures(requirement, image, forged).satisfied);

  if (const auto parsed = trust::PublicKey::FromPem(bytes)) Require(!parsed->Verifies("message", bytes));
  if (const auto decoded = trust::DecodeBase64Strict(bytes)) Require(trust::EncodeBase64(*decoded) == bytes);
  return 0;
}
