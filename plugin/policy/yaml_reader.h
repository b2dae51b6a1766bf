// YAML as policies may use it, as a small tree with positions: mappings, sequences, scalars. No anchors, aliases, merge
// keys or tags: they make a file mean something else than what a reviewer sees, and aliases expand without bound. The
// only part of bulwark that calls yaml-cpp, through its event interface, so that a refused file is never built up.
// Internal to plugin/policy. Pure.
#pragma once

#include <stddef.h>

#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"

namespace bulwark::policy {

struct YamlNode {
  enum class Kind { kNull, kScalar, kSequence, kMapping };

  Kind kind = Kind::kNull;
  int line = 0;    // from 1
  int column = 0;  // from 1, in bytes
  std::string text;        // kScalar
  bool is_plain = false;   // kScalar: not quoted, so it may be a number or a bool
  std::vector<YamlNode> items;  // kSequence: the elements; kMapping: key, value, key, value …
};

inline constexpr int kYamlDepthMax = 16;
inline constexpr size_t kYamlNodesMax = 200'000;

// The documents of one file, empty ones left out. `path` is for messages: "path:line:column: …". kInvalidArgument for
// anything but UTF-8 without control characters, for YAML that does not parse, and for what is refused above.
base::Result<std::vector<YamlNode>> ReadYaml(const std::string& path, std::string_view text);

// kInvalidArgument with "path:line:column: message".
template <typename... Args>
base::Error YamlError(const std::string& path, const YamlNode& node, fmt::format_string<Args...> format, Args&&... args) {
  return base::Error::Make(base::Code::kInvalidArgument, "{}:{}:{}: {}", path, node.line, node.column,
                           fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace bulwark::policy
