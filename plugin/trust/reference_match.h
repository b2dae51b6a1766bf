// Whether the name an image was signed under fits the name it is started under. Pure.
#pragma once

#include <string>
#include <string_view>

#include "plugin/trust/requirement.h"

namespace bulwark::trust {

// `signed_reference` as in the payload, `started_reference` canonical or empty. References that do not parse never fit,
// except under kAny. Exact means the same tag and digest; a signature on a bare repository, which is what cosign makes
// unless told otherwise, names no image exactly (containers-policy.json(5), matchExact).
bool ReferenceFits(const SignatureRequirement& requirement, std::string_view signed_reference,
                   std::string_view started_reference);

}  // namespace bulwark::trust
