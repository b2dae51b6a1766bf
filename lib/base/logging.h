// Log lines for humans (never audit records): logfmt, as containerd's own shims write, one write(2) a line.
//
//   LogInfo("container created", {{"container_id", id}, {"pid", "12"}});
//   time="2026-01-02T03:04:05.123456789Z" level=info msg="container created" container_id=abc pid=12
//
// Only main, services and loops log; lib/ returns errors. Never log environment, exec arguments, tokens or annotation
// values. Writing never blocks for long and never fails the caller: a line that the sink does not take is dropped.
// Thread-safe.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace bulwark::base {

enum class LogLevel { kDebug, kInfo, kWarn, kError };

using LogField = std::pair<std::string_view, std::string_view>;

// Default: stderr, kInfo. `fd` is not owned.
void SetLogSink(int fd, LogLevel least);

void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields);

inline void LogDebug(std::string_view m, std::initializer_list<LogField> f = {}) { Log(LogLevel::kDebug, m, f); }
inline void LogInfo(std::string_view m, std::initializer_list<LogField> f = {}) { Log(LogLevel::kInfo, m, f); }
inline void LogWarn(std::string_view m, std::initializer_list<LogField> f = {}) { Log(LogLevel::kWarn, m, f); }
inline void LogError(std::string_view m, std::initializer_list<LogField> f = {}) { Log(LogLevel::kError, m, f); }

}  // namespace bulwark::base
