#include "lib/oci/reference_grammar.h"

#include <algorithm>

namespace bulwark::oci {

namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
bool IsLowerAlnum(char c) { return IsDigit(c) || IsLower(c); }

bool IsPort(std::string_view text) {
  return !text.empty() && text.size() <= 5 && std::all_of(text.begin(), text.end(), IsDigit);
}

bool IsHostLabel(std::string_view label) {
  return !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-' &&
         std::all_of(label.begin(), label.end(), [](char c) { return IsLowerAlnum(c) || c == '-'; });
}

bool IsHostName(std::string_view name) {
  while (true) {
    const size_t dot = name.find('.');
    if (!IsHostLabel(name.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    name.remove_prefix(dot + 1);
  }
}

bool IsAddress6(std::string_view text) {
  return text.size() >= 2 && std::all_of(text.begin(), text.end(), [](char c) {
           return IsDigit(c) || (c >= 'a' && c <= 'f') || c == ':';
         });
}

// Length of the separator at the start, 0 if there is none that the grammar allows.
size_t SeparatorLength(std::string_view text) {
  if (text.front() == '.') return 1;
  const size_t run = std::min(text.find_first_not_of(text.front()), text.size());
  if (text.front() == '_') return run <= 2 ? run : 0;
  return text.front() == '-' ? run : 0;
}

}  // namespace

bool IsHost(std::string_view text) {
  if (text.size() > 255) return false;
  if (!text.empty() && text.front() == '[') {
    const size_t end = text.find(']');
    if (end == std::string_view::npos || !IsAddress6(text.substr(1, end - 1))) return false;
    text.remove_prefix(end + 1);
    return text.empty() || (text.front() == ':' && IsPort(text.substr(1)));
  }
  const size_t colon = text.find(':');
  if (!IsHostName(text.substr(0, colon))) return false;
  return colon == std::string_view::npos || IsPort(text.substr(colon + 1));
}

bool IsPathSegment(std::string_view text) {
  while (true) {
    const auto end = std::find_if_not(text.begin(), text.end(), IsLowerAlnum);
    if (end == text.begin()) return false;
    text.remove_prefix(static_cast<size_t>(end - text.begin()));
    if (text.empty()) return true;
    const size_t separator = SeparatorLength(text);
    if (separator == 0) return false;
    text.remove_prefix(separator);
  }
}

bool IsTag(std::string_view text) {
  const auto is_word = [](char c) { return IsLowerAlnum(c) || IsUpper(c) || c == '_'; };
  return !text.empty() && text.size() <= 128 && is_word(text.front()) &&
         std::all_of(text.begin(), text.end(),
                     [&](char c) { return is_word(c) || c == '.' || c == '-'; });
}

std::pair<std::string, std::string> SplitHost(std::string_view name) {
  std::string host = "docker.io";
  std::string path(name);
  if (const size_t slash = name.find('/'); slash != std::string_view::npos) {
    const std::string_view first = name.substr(0, slash);
    if (first.find_first_of(".:") != std::string_view::npos || first == "localhost") {
      host = first;
      path = name.substr(slash + 1);
    }
  }
  std::transform(host.begin(), host.end(), host.begin(),
                 [](char c) { return IsUpper(c) ? static_cast<char>(c - 'A' + 'a') : c; });
  if (host == "index.docker.io") host = "docker.io";
  if (host == "docker.io" && path.find('/') == std::string::npos) path = "library/" + path;
  return {host, path};
}

}  // namespace bulwark::oci
