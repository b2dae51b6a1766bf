#include "shim/os/stdio_uri.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace bulwark::shim {
namespace {

using base::Code;
using base::Error;
using base::Result;

std::optional<int> HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

// RFC 3986 percent-decoding; in a query "+" is a space (HTML form encoding, which Go's net/url
// decodes).
Result<std::string> Decode(std::string_view text, bool in_query) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      const auto high = i + 2 < text.size() ? HexDigit(text[i + 1]) : std::nullopt;
      const auto low = i + 2 < text.size() ? HexDigit(text[i + 2]) : std::nullopt;
      if (!high || !low) {
        return Error(Code::kInvalidArgument, "parse stdio uri: bad percent-encoding");
      }
      c = static_cast<char>(*high * 16 + *low);
      i += 2;
    } else if (c == '+' && in_query) {
      c = ' ';
    }
    if (c == '\0') return Error(Code::kInvalidArgument, "parse stdio uri: zero byte");
    decoded.push_back(c);
  }
  return decoded;
}

Result<std::vector<std::string>> ParseQuery(std::string_view query) {
  std::vector<std::string> arguments;
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty()) continue;
    const size_t equals = std::min(pair.find('='), pair.size());
    ASSIGN_OR_RETURN(std::string key, Decode(pair.substr(0, equals), true));
    bool is_known = false;
    for (size_t i = 0; i < arguments.size(); i += 2) is_known = is_known || arguments[i] == key;
    if (is_known) continue;
    ASSIGN_OR_RETURN(std::string value,
                     Decode(pair.substr(std::min(equals + 1, pair.size())), true));
    arguments.push_back(std::move(key));
    arguments.push_back(std::move(value));
    if (arguments.size() > 256) {
      return Error(Code::kInvalidArgument, "parse stdio uri: more than 128 logger arguments");
    }
  }
  return arguments;
}

Result<StdioUri> ParsePath(std::string_view path) {
  if (path.find('\0') != std::string_view::npos) {
    return Error(Code::kInvalidArgument, "parse stdio uri: zero byte");
  }
  StdioUri uri;
  uri.kind = StdioKind::kPath;
  uri.path = std::string(path);
  return uri;
}

}  // namespace

Result<StdioUri> ParseStdioUri(std::string_view text) {
  if (text.empty()) return StdioUri{};
  if (text.size() > kStdioUriBytesMax) {
    return Error(Code::kInvalidArgument, "parse stdio uri: too long");
  }
  if (text.front() == '/') return ParsePath(text);

  const size_t separator = text.find("://");
  if (separator == std::string_view::npos) {
    return Error(Code::kInvalidArgument, "parse stdio uri: neither an absolute path nor scheme://");
  }
  const std::string_view scheme = text.substr(0, separator);
  std::string_view rest = text.substr(separator + 3);
  if (scheme != "fifo" && scheme != "file" && scheme != "binary" && scheme != "binary-v2") {
    return Error::Make(Code::kInvalidArgument, "unknown STDIO scheme {}", scheme.substr(0, 32));
  }
  if (rest.empty() || rest.front() != '/') {
    return Error::Make(Code::kInvalidArgument, "parse stdio uri: {}:// without an absolute path",
                       scheme);
  }
  if (scheme == "fifo") return ParsePath(rest);

  StdioUri uri;
  uri.kind = scheme == "file" ? StdioKind::kFile : StdioKind::kLogger;
  uri.logger_must_report = scheme == "binary-v2";
  if (rest.find('#') != std::string_view::npos ||
      (uri.kind == StdioKind::kFile && rest.find('?') != std::string_view::npos)) {
    return Error::Make(Code::kInvalidArgument, "parse stdio uri: {}:// with a query or fragment",
                       scheme);
  }
  const size_t query = std::min(rest.find('?'), rest.size());
  ASSIGN_OR_RETURN(uri.path, Decode(rest.substr(0, query), false));
  ASSIGN_OR_RETURN(uri.logger_arguments,
                   ParseQuery(rest.substr(std::min(query + 1, rest.size()))));
  return uri;
}

}  // namespace bulwark::shim
