// Reads a cosign signature image: an OCI manifest with one layer for each signature (cosign specs, SIGNATURE_SPEC.md).
// The same for a content store and an OCI layout: the caller gives the bytes.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "lib/base/result.h"
#include "plugin/trust/verification.h"

namespace bulwark::trust {

inline constexpr size_t kProblemsMax = 64;

// Gives the blob with this digest, at most `max_bytes`; the result is hashed here whatever the reader did.
using BlobReader = std::function<base::Result<std::string>(const std::string& digest, size_t max_bytes)>;

// Appends the signatures of `manifest_bytes` to `evidence`; what is malformed becomes a problem there, never an error,
// because one bad layer must neither hide nor replace a good one. A signature that `evidence` holds already is not added
// again. Stops at kCandidatesMax candidates and keeps kProblemsMax problems.
void CollectSignatures(std::string_view manifest_bytes, const std::string& source, const BlobReader& read,
                       SignatureEvidence& evidence);

// The tag under which cosign keeps signatures of `digest`: "sha256-<hex>.sig".
std::string SignatureTag(std::string_view digest);

}  // namespace bulwark::trust
