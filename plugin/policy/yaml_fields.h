// Typed, strict reading of a YAML tree: a mapping with a fixed set of keys, and scalars of the few types policies have.
// Every error says file:line:column, what was expected and, for a misspelt word, what was probably meant. Internal to
// plugin/policy. Pure.
#pragma once

#include <stdint.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "plugin/policy/yaml_reader.h"

namespace bulwark::policy {

// A mapping whose keys were checked: each known and given once. Refers to the node and the path; don't outlive them.
class Fields {
 public:
  // `what` names the mapping in messages, e.g. "rule" or "require.scan".
  static base::Result<Fields> Of(const std::string& path, const YamlNode& node, std::string_view what,
                                 std::span<const std::string_view> known);

  // The value of a key, or nullptr if the key is absent.
  const YamlNode* Find(std::string_view key) const;
  // The same; absence is an error.
  base::Result<const YamlNode*> Require(std::string_view key) const;

  const YamlNode& node() const { return *node_; }

 private:
  Fields(const std::string* path, const YamlNode* node, std::string_view what) : path_(path), node_(node), what_(what) {}

  const std::string* path_;
  const YamlNode* node_;
  std::string_view what_;
};

// Non-empty text of at most `bytes_max`; a number or bool must be quoted to be text.
base::Result<std::string> ReadText(const std::string& path, const YamlNode& node, size_t bytes_max = 4096);
// A name people type and messages quote: letters, digits, "-", "_" and ".", at most 63, first a letter or digit.
base::Result<std::string> ReadName(const std::string& path, const YamlNode& node);
// `true` or `false`, unquoted; not "yes", "on" or 1.
base::Result<bool> ReadBool(const std::string& path, const YamlNode& node);
// Decimal, unquoted, within [least, most].
base::Result<int64_t> ReadInteger(const std::string& path, const YamlNode& node, int64_t least, int64_t most);
// Nanoseconds of "90s", "15m", "72h", "14d" or a sum in falling units, "1h30m"; never without a unit, never zero, at most
// ten years. (Go's time.ParseDuration without fractions and signs, and with days.)
base::Result<int64_t> ReadDurationNanos(const std::string& path, const YamlNode& node);
// The index of the text in `words`.
base::Result<size_t> ReadWord(const std::string& path, const YamlNode& node, std::span<const std::string_view> words);
// A sequence; at most `items_max` elements, at least one unless `may_be_empty`.
base::Result<const std::vector<YamlNode>*> ReadSequence(const std::string& path, const YamlNode& node, size_t items_max,
                                                        bool may_be_empty);
// A sequence of different texts.
base::Result<std::vector<std::string>> ReadTextList(const std::string& path, const YamlNode& node, bool may_be_empty);

// A sequence of texts from `words`, each at most once.
base::Result<std::vector<std::string>> ReadWordList(const std::string& path, const YamlNode& node,
                                                    std::span<const std::string_view> words, bool may_be_empty);

// "mapping", "sequence", "text", "nothing": what a node is, for messages.
std::string_view KindName(const YamlNode& node);

}  // namespace bulwark::policy
