#include "plugin/cli/time_argument.h"

#include <charconv>
#include <string>

#include "plugin/trust/scan_report.h"

namespace bulwark::cli {
namespace {

int64_t UnitSeconds(char unit) {
  switch (unit) {
    case 's': return 1;
    case 'm': return 60;
    case 'h': return 3600;
    case 'd': return 24 * 3600;
    default: return 0;
  }
}

}  // namespace

base::Result<int64_t> ParseTime(std::string_view text, int64_t now_ns) {
  constexpr int64_t kCountMax = 1'000'000;
  const char* const end = text.data() + text.size();
  int64_t count = 0;
  const auto [stop, error] = std::from_chars(text.data(), end, count);
  if (error == std::errc() && stop + 1 == end && UnitSeconds(*stop) != 0 && count >= 0 && count <= kCountMax) {
    return now_ns - count * UnitSeconds(*stop) * 1'000'000'000;
  }
  constexpr size_t kDateBytes = 10;
  const std::string full = text.size() == kDateBytes ? std::string(text) + "T00:00:00Z" : std::string(text);
  if (const auto time = trust::ParseRfc3339(full)) return *time;
  return base::Error::Make(base::Code::kInvalidArgument,
                           "{:?} is no time: write 24h or 7d (ago), 2026-01-02, or 2026-01-02T03:04:05Z",
                           text.substr(0, 60));
}

}  // namespace bulwark::cli
