// Verifies cosign signatures made with keys, against a rule's requirement. Nothing in a signature object is believed
// before its signature was verified with a key of the policy: not its tag, not where it lay, not its annotations.
// Any thread, no clock, no files; parsed keys are kept in memory, by their text. Time bounded by kCandidatesMax × keys.
#pragma once

#include <string>
#include <vector>

#include "lib/base/result.h"
#include "lib/oci/image_identity.h"
#include "plugin/policy/decision.h"
#include "plugin/trust/public_key.h"
#include "plugin/trust/requirement.h"
#include "plugin/trust/verification.h"

namespace bulwark::trust {

// Signatures that are tried for one image. More are not looked at, so that a flood of junk costs bounded time.
inline constexpr size_t kCandidatesMax = 64;

// Check "signature". Satisfied when at least `at_least` distinct authorities (distinct keys: one key under two names
// counts once) have signed this image's manifest or index under a fitting reference with the wanted annotations.
// Otherwise the code says how near the nearest candidate came: signature.missing < .invalid (object or signature is
// malformed) < .untrusted-key < .invalid (genuine, but no such payload) < .digest-mismatch < .reference-mismatch <
// .annotation-mismatch < .threshold; .limit when candidates were cut. The evidence lists each place a candidate came
// from once. A key of the rule that cannot be read is engine.error: no other key stands in for it.
policy::ReasonStep VerifySignatures(const SignatureRequirement& requirement, const oci::ImageIdentity& image,
                                    const SignatureEvidence& evidence);

}  // namespace bulwark::trust
