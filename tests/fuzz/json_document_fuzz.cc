// Strict JSON: whatever is accepted must survive being printed and read again, unchanged.
#include <stddef.h>
#include <stdint.h>

#include "lib/oci/json_document.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using bulwark::oci::JsonDocument;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto document = JsonDocument::Parse(text, {1u << 16, 16, 2000});
  if (!document.has_value()) return 0;
  const std::string printed = document->Dump();
  const auto again = JsonDocument::Parse(printed, {1u << 20, 16, 2000});
  BULWARK_CHECK(again.has_value());
  BULWARK_CHECK(again->Dump() == printed);
  return 0;
}
