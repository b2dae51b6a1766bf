// Two profiles, separated by a newline: parsing, printing and intersecting them ends, and what is printed is read back.
// Whether the result is strict enough is the business of lib/seccomp/profile_merge_test.cc.
#include <stddef.h>
#include <stdint.h>

#include "lib/seccomp/profile_json.h"
#include "lib/seccomp/profile_merge.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bulwark::seccomp;  // NOLINT(google-build-using-namespace)
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto a = ParseProfile(text.substr(0, text.find('\n')));
  if (!a.has_value()) return 0;
  const auto b = ParseProfile(text.substr(text.find('\n') + 1));
  const auto merged = Intersect(*a, b.has_value() ? *b : *a);
  if (!merged.has_value()) return 0;
  BULWARK_CHECK(!IsStricter(a->default_outcome, merged->profile.default_outcome));
  const std::string printed = PrintProfile(merged->profile);
  const auto again = ParseProfile(printed);
  BULWARK_CHECK(!again.has_value() || PrintProfile(*again) == printed);
  return 0;
}
