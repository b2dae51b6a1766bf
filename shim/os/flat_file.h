// The two shapes of cgroup control files that Stats reads: one value, or "key value" lines
// (cgroup-v2.rst, "Format"). Whatever is absent or malformed counts as absent: controllers come and
// go with kernel configurations. Calls block only as long as cgroupfs does.
#pragma once

#include <stdint.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace bulwark::shim {

// A decimal number, alone in `text` apart from white space.
std::optional<uint64_t> ParseNumber(std::string_view text);

// The number in `directory`/`name`; "max" gives `max_value`.
std::optional<uint64_t> ReadNumber(const std::string& directory, std::string_view name,
                                   uint64_t max_value = UINT64_MAX);

// The text of `directory`/`name`, at most 256 KiB.
std::optional<std::string> ReadControlFile(const std::string& directory, std::string_view name);

// Cuts the next line, or the next word of a line, from the front of `text`; empty when there is no
// more.
std::string_view TakeLine(std::string_view& text);
std::string_view TakeWord(std::string_view& line);

// Calls `visit` for every "key value" line.
void ForEachPair(std::string_view text,
                 const std::function<void(std::string_view, uint64_t)>& visit);

}  // namespace bulwark::shim
