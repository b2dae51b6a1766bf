// bulwarkd.toml to Config, strictly: an unknown key, a wrong type or a value out of range is an error with
// file:line:column, never ignored. The only part of bulwark that calls toml++.
#pragma once

#include <stddef.h>

#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "plugin/config/config.h"

namespace bulwark::config {

inline constexpr size_t kConfigBytesMax = size_t{256} << 10;

// Pure. `path` is for messages. kInvalidArgument: "path:line:column: what is wrong; what to do".
base::Result<Config> ParseConfig(const std::string& path, std::string_view text);

// Reads and parses. kNotFound if the file is absent: there are no silent defaults for a file that was named. Blocks.
base::Result<Config> LoadConfig(const std::string& path);

// All keys as "section.key", and "version": what the man page has to describe. Sorted.
std::vector<std::string> ConfigKeys();

}  // namespace bulwark::config
