#include <optional>

#include "plugin/trust/scan_report.h"

namespace bulwark::trust {
namespace {

// Reads exactly `digits` decimal digits at `at`.
std::optional<int> Number(std::string_view text, size_t at, size_t digits) {
  if (text.size() < at + digits) return std::nullopt;
  int value = 0;
  for (size_t i = at; i < at + digits; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

bool IsLeap(int year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

int DaysIn(int year, int month) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month == 2 && IsLeap(year) ? 29 : kDays[month - 1];
}

int64_t DaysSince1970(int year, int month, int day) {
  int64_t days = day - 1;
  for (int y = 1970; y < year; ++y) days += IsLeap(y) ? 366 : 365;
  for (int m = 1; m < month; ++m) days += DaysIn(year, m);
  return days;
}

// "Z", "+hh:mm" or "-hh:mm" in seconds.
std::optional<int> Offset(std::string_view text) {
  if (text == "Z" || text == "z") return 0;
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') return std::nullopt;
  const auto hours = Number(text, 1, 2);
  const auto minutes = Number(text, 4, 2);
  if (!hours || !minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  const int seconds = *hours * 3600 + *minutes * 60;
  return text[0] == '-' ? -seconds : seconds;
}

}  // namespace

base::Result<int64_t> ParseRfc3339(std::string_view text) {
  const base::Error malformed(base::Code::kInvalidArgument, "not an RFC 3339 time");
  const auto year = Number(text, 0, 4);
  const auto month = Number(text, 5, 2);
  const auto day = Number(text, 8, 2);
  const auto hour = Number(text, 11, 2);
  const auto minute = Number(text, 14, 2);
  const auto second = Number(text, 17, 2);
  if (!year || !month || !day || !hour || !minute || !second || text[4] != '-' || text[7] != '-' ||
      (text[10] != 'T' && text[10] != 't') || text[13] != ':' || text[16] != ':') {
    return malformed;
  }
  if (*year < 1970 || *year > 2200 || *month < 1 || *month > 12 || *day < 1 || *day > DaysIn(*year, *month) ||
      *hour > 23 || *minute > 59 || *second > 60) {
    return malformed;
  }
  size_t at = 19;
  int64_t nanos = 0;
  if (at < text.size() && text[at] == '.') {
    int64_t unit = 100'000'000;
    const size_t first = ++at;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
      nanos += unit * (text[at] - '0');
      unit /= 10;
    }
    if (at == first || at - first > 9) return malformed;
  }
  const auto offset = Offset(text.substr(at));
  if (!offset) return malformed;
  const int64_t seconds =
      DaysSince1970(*year, *month, *day) * 86400 + *hour * 3600 + *minute * 60 + *second - *offset;
  return seconds * 1'000'000'000 + nanos;
}

}  // namespace bulwark::trust
