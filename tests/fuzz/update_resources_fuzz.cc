// The resources of Task.Update come from whoever may call containerd. Whatever they hold: no key but
// the updatable ones gets through, and what got through passes again unchanged.
#include <stdint.h>
#include <stdlib.h>

#include <nlohmann/json.hpp>

#include "shim/update_resources.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto kept = bulwark::shim::UpdatableResources(text);
  if (!kept) return 0;
  const auto again = bulwark::shim::UpdatableResources(*kept);
  if (!again || *again != *kept) abort();
  const auto json = nlohmann::json::parse(*kept);
  if (json.contains("devices") || json.contains("Devices")) abort();
  return 0;
}
