#include "plugin/trust/reference_match.h"

#include "lib/oci/image_reference.h"

namespace bulwark::trust {
namespace {

// Replaces `prefix` at a segment boundary: "mirror.corp/hub" covers "mirror.corp/hub/a", never "mirror.corp/hubble".
std::string Remap(std::string_view reference, std::string_view prefix, std::string_view replacement) {
  if (prefix.empty() || !reference.starts_with(prefix)) return std::string(reference);
  const std::string_view rest = reference.substr(prefix.size());
  const bool at_boundary = rest.empty() || rest.front() == '/' || rest.front() == ':' || rest.front() == '@';
  return at_boundary ? std::string(replacement) + std::string(rest) : std::string(reference);
}

}  // namespace

bool ReferenceFits(const SignatureRequirement& requirement, std::string_view signed_reference,
                   std::string_view started_reference) {
  if (requirement.reference_match == ReferenceMatch::kAny) return true;
  const auto wanted = oci::ImageReference::Parse(signed_reference);
  const auto started = oci::ImageReference::Parse(
      Remap(started_reference, requirement.remap_prefix, requirement.remap_signed_prefix));
  if (!wanted || !started || wanted->Repository() != started->Repository()) return false;
  switch (requirement.reference_match) {
    case ReferenceMatch::kExact:
      return wanted->tag == started->tag;
    case ReferenceMatch::kRepoDigestOrExact:
      return !started->digest.empty() || wanted->tag == started->tag;
    case ReferenceMatch::kRepository:
    case ReferenceMatch::kAny:
      return true;
  }
  return false;
}

}  // namespace bulwark::trust
