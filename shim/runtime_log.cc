#include "shim/runtime_log.h"

#include <ctype.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/base/unique_fd.h"

namespace bulwark::shim {
namespace {

constexpr size_t kLogTailBytesMax = size_t{64} << 10;
constexpr size_t kMessageBytesMax = 4096;

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

// The message of one line, or empty if the line is not an entry of level "error".
std::string ErrorOfLine(std::string_view line) {
  const auto entry = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!entry.is_object()) return {};
  const auto level = entry.find("level");
  const auto message = entry.find("msg");
  if (level == entry.end() || message == entry.end()) return {};
  if (!level->is_string() || !message->is_string() || *level != "error") return {};
  return std::string(Trim(message->get_ref<const std::string&>()));
}

bool ContainsIgnoringCase(std::string_view text, std::string_view lower_case_part) {
  return std::search(text.begin(), text.end(), lower_case_part.begin(), lower_case_part.end(),
                     [](char a, char b) { return tolower(static_cast<unsigned char>(a)) == b; }) !=
         text.end();
}

}  // namespace

std::string LastErrorMessage(std::string_view log_json_lines) {
  while (!log_json_lines.empty()) {
    const size_t newline = log_json_lines.rfind('\n');
    const std::string_view line =
        newline == std::string_view::npos ? log_json_lines : log_json_lines.substr(newline + 1);
    if (!Trim(line).empty()) {
      std::string message = ErrorOfLine(line);
      if (!message.empty()) {
        message.resize(std::min(message.size(), kMessageBytesMax));
        return message;
      }
    }
    if (newline == std::string_view::npos) break;
    log_json_lines = log_json_lines.substr(0, newline);
  }
  return {};
}

std::string LastErrorOfLogFile(const std::string& path) {
  const base::UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat status = {};
  if (!file.is_open() || fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
  const auto size = static_cast<size_t>(status.st_size);
  const size_t wanted = std::min(size, kLogTailBytesMax);
  std::string tail(wanted, '\0');
  const ssize_t got = pread(file.get(), tail.data(), wanted, static_cast<off_t>(size - wanted));
  if (got <= 0) return {};
  return LastErrorMessage(std::string_view(tail).substr(0, static_cast<size_t>(got)));
}

std::string RuntimeFailureText(std::string_view prefix, std::string_view log_error,
                               std::string_view output, int exit_status) {
  if (!log_error.empty()) return fmt::format("{}: {}", prefix, log_error);
  const std::string_view printed = Trim(output).substr(0, kMessageBytesMax);
  if (!printed.empty()) return fmt::format("{}: {}", prefix, printed);
  return fmt::format("{}: the runtime gave no reason: exit status {}", prefix, exit_status);
}

bool SaysAlreadyGone(std::string_view runtime_text) {
  return ContainsIgnoringCase(runtime_text, "process already finished") ||
         ContainsIgnoringCase(runtime_text, "container not running") ||
         ContainsIgnoringCase(runtime_text, "is not running") ||
         ContainsIgnoringCase(runtime_text, "no such process") || SaysDoesNotExist(runtime_text);
}

bool SaysDoesNotExist(std::string_view runtime_text) {
  return ContainsIgnoringCase(runtime_text, "does not exist");
}

}  // namespace bulwark::shim
