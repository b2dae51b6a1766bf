#include "plugin/cli/time_argument.h"

#include <gtest/gtest.h>

namespace bulwark::cli {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kNow = int64_t{1'767'323'045} * kSecond;  // 2026-01-02T03:04:05Z

TEST(ParseTime, DurationsCountBackFromNow) {
  EXPECT_EQ(*ParseTime("90s", kNow), kNow - 90 * kSecond);
  EXPECT_EQ(*ParseTime("15m", kNow), kNow - 15 * 60 * kSecond);
  EXPECT_EQ(*ParseTime("24h", kNow), kNow - 24 * 3600 * kSecond);
  EXPECT_EQ(*ParseTime("7d", kNow), kNow - 7 * 24 * 3600 * kSecond);
}

TEST(ParseTime, DatesAndTimesAreUtc) {
  EXPECT_EQ(*ParseTime("2026-01-02T03:04:05Z", 0), kNow);
  EXPECT_EQ(*ParseTime("2026-01-02T04:04:05+01:00", 0), kNow);
  EXPECT_EQ(*ParseTime("2026-01-02", 0), kNow - (3 * 3600 + 4 * 60 + 5) * kSecond);
}

TEST(ParseTime, EverythingElseIsRefused) {
  for (const char* bad : {"", "h", "24", "-1h", "24 h", "24hours", "1h30m", "9999999999d", "99999999999999999999h",
                          "yesterday", "2026-13-01", "2026-02-30", "2026-1-2", "2026-01-02T03:04", "2026-01-02 03:04:05"}) {
    EXPECT_FALSE(ParseTime(bad, kNow).has_value()) << bad;
  }
}

}  // namespace
}  // namespace bulwark::cli
