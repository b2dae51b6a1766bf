#include "lib/base/logging.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

namespace bulwark::base {
namespace {

// PIPE_BUF (pipe(7)): up to here a write to a pipe is atomic, and never blocks once poll(2) calls
// the pipe writable.
constexpr size_t kLineBytesMax = 4096;

std::atomic<int> sink_fd{STDERR_FILENO};
std::atomic<LogLevel> least_level{LogLevel::kInfo};

// Appends to a fixed buffer; what does not fit is cut.
class Line {
 public:
  void Put(char c) {
    if (size_ < kLineBytesMax - 1) bytes_[size_++] = c;
  }
  void Put(std::string_view text) {
    const size_t room = std::min(text.size(), kLineBytesMax - 1 - size_);
    memcpy(bytes_ + size_, text.data(), room);
    size_ += room;
  }
  void PutNumber(int64_t value, int digits) {
    char reversed[20];
    for (int i = 0; i < digits; ++i, value /= 10) reversed[i] = static_cast<char>('0' + value % 10);
    for (int i = digits; i > 0; --i) Put(reversed[i - 1]);
  }
  void PutValue(std::string_view value);
  std::string_view Finish() {
    bytes_[size_++] = '\n';
    return {bytes_, size_};
  }

 private:
  char bytes_[kLineBytesMax];
  size_t size_ = 0;
};

bool NeedsNoQuotes(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         strchr("-._/@^+:", c) != nullptr;
}

// Quoted unless plain. Everything that is not printable ASCII is escaped, so a value can neither
// end the line nor send control sequences to a terminal.
void Line::PutValue(std::string_view value) {
  const bool plain = !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
    return c != '\0' && NeedsNoQuotes(c);
  });
  if (plain) {
    Put(value);
    return;
  }
  constexpr std::string_view kHex = "0123456789abcdef";
  Put('"');
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      Put('\\');
      Put(c);
    } else if (c == '\n') {
      Put("\\n");
    } else if (c == '\t') {
      Put("\\t");
    } else if (byte < 0x20 || byte > 0x7e) {
      Put("\\x");
      Put(kHex[byte >> 4]);
      Put(kHex[byte & 15]);
    } else {
      Put(c);
    }
  }
  Put('"');
}

// RFC 3339 in UTC, by hand: gmtime_r would load the time zone database. The date follows from the
// day count in a calendar of 400-year cycles that begin on 1 March.
void PutTime(Line& line) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  const int64_t seconds = now.tv_sec;
  const int64_t days = seconds / 86400 + 719468;  // since 0000-03-01
  const int64_t cycle = days / 146097;
  const int64_t day_of_cycle = days % 146097;
  const int64_t year_of_cycle =
      (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36524 - day_of_cycle / 146096) / 365;
  const int64_t day_of_year =
      day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
  const int64_t shifted_month = (5 * day_of_year + 2) / 153;
  const int64_t day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
  const int64_t month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  const int64_t year = year_of_cycle + cycle * 400 + (month <= 2 ? 1 : 0);
  line.PutNumber(year, 4);
  line.Put('-');
  line.PutNumber(month, 2);
  line.Put('-');
  line.PutNumber(day, 2);
  line.Put('T');
  line.PutNumber(seconds / 3600 % 24, 2);
  line.Put(':');
  line.PutNumber(seconds / 60 % 60, 2);
  line.Put(':');
  line.PutNumber(seconds % 60, 2);
  line.Put('.');
  line.PutNumber(now.tv_nsec, 9);
  line.Put('Z');
}

std::string_view LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return "debug";
    case LogLevel::kInfo: return "info";
    case LogLevel::kWarn: return "warning";
    case LogLevel::kError: return "error";
  }
  return "error";
}

}  // namespace

void SetLogSink(int fd, LogLevel least) {
  sink_fd.store(fd);
  least_level.store(least);
}

void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) {
  if (level < least_level.load()) return;
  const int saved = errno;
  Line line;
  line.Put("time=\"");
  PutTime(line);
  line.Put("\" level=");
  line.Put(LevelName(level));
  line.Put(" msg=");
  line.PutValue(message);
  for (const auto& [name, value] : fields) {
    line.Put(' ');
    line.Put(name);
    line.Put('=');
    line.PutValue(value);
  }
  const std::string_view text = line.Finish();
  // Asked first instead of setting O_NONBLOCK, which would change the descriptor for everyone who
  // shares it.
  pollfd sink{sink_fd.load(), POLLOUT, 0};
  if (poll(&sink, 1, 0) == 1 && sink.revents == POLLOUT) {
    [[maybe_unused]] const ssize_t written = write(sink.fd, text.data(), text.size());
  }
  errno = saved;
}

}  // namespace bulwark::base
