// Is the image's scan status what the rule asks for? Pure: evidence and the present time go in, a step comes out.
#pragma once

#include <stdint.h>

#include "lib/oci/image_identity.h"
#include "plugin/policy/decision.h"
#include "plugin/trust/requirement.h"
#include "plugin/trust/verification.h"

namespace bulwark::trust {

// A report may be this much ahead of the node's clock.
inline constexpr int64_t kClockSkewNs = int64_t{5} * 60 * 1'000'000'000;

// Check "scan". Never scanned means not satisfied. A report counts when only root could have put it there, it can be
// read, it comes from an allowed scanner, and it is bound to this image: its ImageID is the config's digest, and if it
// lists the digests it was pulled as, this manifest's or index's is among them. Of several, the newest by its own time
// decides, also when it is the worst or from the future: withholding it must not help. Of two with the very same time
// the one that refuses decides.
//
// Codes, nearest first: scan.missing, .untrusted-source, .invalid, .digest-mismatch, .from-future, .stale,
// .end-of-life, .findings. The detail counts what blocks per severity and names up to five findings.
policy::ReasonStep EvaluateScan(const ScanRequirement& requirement, const oci::ImageIdentity& image,
                                const ScanEvidence& evidence, int64_t now_wall_ns);

}  // namespace bulwark::trust
