// The document that cosign's classic scheme signs ("simple signing", containers-signature(5); cosign specs,
// SIGNATURE_SPEC.md). Only ever parsed after its signature was verified. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "lib/base/result.h"

namespace bulwark::trust {

inline constexpr size_t kPayloadBytesMax = 64 * 1024;

struct SimpleSigningPayload {
  std::string manifest_digest;                  // critical.image.docker-manifest-digest
  std::string docker_reference;                 // critical.identity.docker-reference
  std::map<std::string, std::string> optional;  // members of "optional" that are strings
};

// Strict, as containers/image is: nothing but "critical" and "optional"; "critical" has exactly its three members, each
// exactly its one, and its type is cosign's
// ("atomic container signature" is GPG's and another protocol). kInvalidArgument otherwise.
base::Result<SimpleSigningPayload> ParseSimpleSigning(std::string_view bytes);

}  // namespace bulwark::trust
