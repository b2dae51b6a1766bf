#include "shim/os/flat_file.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "lib/base/file_io.h"

namespace bulwark::shim {
namespace {

constexpr size_t kControlFileBytesMax = 256 * 1024;
constexpr std::string_view kBlank = " \t\n";

std::string_view Trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

}  // namespace

std::optional<uint64_t> ParseNumber(std::string_view text) {
  const std::string_view digits = Trim(text);
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

std::optional<std::string> ReadControlFile(const std::string& directory, std::string_view name) {
  auto text = base::ReadPseudoFile(fmt::format("{}/{}", directory, name), kControlFileBytesMax);
  if (!text) return std::nullopt;
  return *std::move(text);
}

std::optional<uint64_t> ReadNumber(const std::string& directory, std::string_view name,
                                   uint64_t max_value) {
  const auto text = ReadControlFile(directory, name);
  if (!text) return std::nullopt;
  if (Trim(*text) == "max") return max_value;
  return ParseNumber(*text);
}

std::string_view TakeLine(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

std::string_view TakeWord(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(kBlank));
  line.remove_prefix(word.size());
  return word;
}

void ForEachPair(std::string_view text,
                 const std::function<void(std::string_view, uint64_t)>& visit) {
  while (!text.empty()) {
    std::string_view line = TakeLine(text);
    const std::string_view key = TakeWord(line);
    if (const auto value = ParseNumber(line); !key.empty() && value) visit(key, *value);
  }
}

}  // namespace bulwark::shim
