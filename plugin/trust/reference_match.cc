#include "plugin/trust/reference_match.h"

#include <string>

#include "lib/oci/image_reference.h"

namespace bulwark::trust {
namespace {

// Replaces `prefix` at a component boundary: "mirror.corp/hub" covers "mirror.corp/hub/a" and "mirror.corp/hub:1", never
// "mirror.corp/hubble"; "mirror.corp" covers that host without a port only.
std::string Remap(std::string_view reference, std::string_view prefix, std::string_view replacement) {
  while (prefix.ends_with('/')) prefix.remove_suffix(1);
  while (replacement.ends_with('/')) replacement.remove_suffix(1);
  if (prefix.empty() || !reference.starts_with(prefix)) return std::string(reference);
  const std::string_view rest = reference.substr(prefix.size());
  const bool is_host = prefix.find('/') == std::string_view::npos;
  const bool at_boundary =
      rest.starts_with('/') || (!is_host && (rest.empty() || rest.starts_with(':') || rest.starts_with('@')));
  return at_boundary ? std::string(replacement) + std::string(rest) : std::string(reference);
}

// Whether a reference says which image of its repository it means. ImageReference cannot tell: it adds ":latest".
bool NamesOneImage(std::string_view reference) {
  const size_t slash = reference.rfind('/');
  return reference.find_first_of(":@", slash == std::string_view::npos ? 0 : slash) != std::string_view::npos;
}

}  // namespace

bool ReferenceFits(const SignatureRequirement& requirement, std::string_view signed_reference,
                   std::string_view started_reference) {
  if (requirement.reference_match == ReferenceMatch::kAny) return true;
  const auto signed_as = oci::ImageReference::Parse(signed_reference);
  const auto started = oci::ImageReference::Parse(
      Remap(started_reference, requirement.remap_prefix, requirement.remap_signed_prefix));
  if (!signed_as || !started || signed_as->Repository() != started->Repository()) return false;
  if (requirement.reference_match == ReferenceMatch::kRepository) return true;
  if (requirement.reference_match == ReferenceMatch::kRepoDigestOrExact && !started->digest.empty()) return true;
  return NamesOneImage(signed_reference) && *signed_as == *started;
}

}  // namespace bulwark::trust
