// Points in time on the command line. Pure.
#pragma once

#include <stdint.h>

#include <string_view>

#include "lib/base/result.h"

namespace bulwark::cli {

// "90s", "15m", "24h" or "7d": that long before `now_ns`. "2026-01-02": its midnight in UTC. Otherwise an RFC 3339 time.
// Nanoseconds since 1970; kInvalidArgument for everything else.
base::Result<int64_t> ParseTime(std::string_view text, int64_t now_ns);

}  // namespace bulwark::cli
