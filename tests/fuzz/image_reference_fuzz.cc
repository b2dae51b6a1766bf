// Image references and the patterns over them: the canonical form is a fixed point, and a pattern made of a reference's
// own repository matches it.
#include <stddef.h>
#include <stdint.h>

#include "lib/oci/image_reference.h"
#include "lib/oci/reference_pattern.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using bulwark::oci::ImageReference;
  using bulwark::oci::ReferencePattern;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto pattern = ReferencePattern::Parse(text.substr(0, text.find('\n')));
  const auto reference = ImageReference::Parse(text.substr(text.find('\n') + 1));
  if (pattern.has_value()) {
    BULWARK_CHECK(ReferencePattern::MayOverlap(*pattern, *pattern));
    BULWARK_CHECK(ReferencePattern::CompareSpecificity(*pattern, *pattern) == 0);
  }
  if (!reference.has_value()) return 0;
  const auto again = ImageReference::Parse(reference->Canonical());
  BULWARK_CHECK(again.has_value() && *again == *reference);
  const auto exact = ReferencePattern::Parse(reference->Repository());
  BULWARK_CHECK(exact.has_value() && exact->Matches(&*reference, {}));
  if (pattern.has_value() && pattern->Matches(&*reference, {})) {
    BULWARK_CHECK(ReferencePattern::MayOverlap(*pattern, *exact));
  }
  return 0;
}
