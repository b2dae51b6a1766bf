// A bulwarkd.toml from anyone: parsing never crashes or hangs, and an error always says where.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <string>
#include <string_view>

#include "plugin/config/config_parser.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto config =
      bulwark::config::ParseConfig("/c.toml", std::string_view(reinterpret_cast<const char*>(data), size));
  if (!config && config.error().message().rfind("/c.toml:", 0) != 0) abort();
  if (config && config->gate.socket.front() != '/') abort();
  return 0;
}
