#include "plugin/policy/yaml_fields.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <set>

#include "lib/base/closest_name.h"

namespace bulwark::policy {
namespace {

using base::Result;

constexpr size_t kListItemsMax = 10'000;
constexpr int64_t kSecondNanos = 1'000'000'000;
constexpr int64_t kDurationMaxNanos = 10 * 365 * 24 * 3600 * kSecondNanos;

// A word from a file, as it may stand in a message: bounded, control characters escaped.
std::string Quoted(std::string_view text) {
  return fmt::format("{:?}{}", text.substr(0, 60), text.size() > 60 ? "…" : "");
}

std::string JoinWords(std::span<const std::string_view> words) {
  return fmt::format("{}", fmt::join(words.begin(), words.end(), ", "));
}

// `, did you mean "x"?`, or the choice there is.
std::string Suggestion(std::string_view text, std::span<const std::string_view> words) {
  const std::string_view closest = base::ClosestName(text, words);
  if (!closest.empty()) return fmt::format("; did you mean \"{}\"?", closest);
  return fmt::format("; expected one of: {}", JoinWords(words));
}

bool LooksLikeNumber(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789+-.eE_") == std::string_view::npos &&
         text.find_first_of("0123456789") != std::string_view::npos;
}

// YAML 1.1 and 1.2 disagree about these; quoted they are always text.
bool LooksLikeBoolOrNull(std::string_view text) {
  static constexpr std::string_view kWords[] = {"true", "false", "yes", "no", "on", "off", "null", "~"};
  return std::any_of(std::begin(kWords), std::end(kWords),
                     [&](std::string_view word) { return base::EditDistance(text, word) == 0; });
}

int64_t UnitNanos(char unit) {
  switch (unit) {
    case 's': return kSecondNanos;
    case 'm': return 60 * kSecondNanos;
    case 'h': return 3600 * kSecondNanos;
    case 'd': return 24 * 3600 * kSecondNanos;
    default: return 0;
  }
}

// 0 if `text` is no duration, or is out of range.
int64_t ParseDuration(std::string_view text) {
  int64_t total = 0;
  int64_t last_unit = kDurationMaxNanos;
  while (!text.empty()) {
    int64_t count = 0;
    if (text.front() < '0' || text.front() > '9') return 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (error != std::errc() || end == text.data() + text.size()) return 0;
    const int64_t unit = UnitNanos(*end);
    if (unit == 0 || unit >= last_unit || count > kDurationMaxNanos / unit) return 0;
    total += count * unit;
    if (total > kDurationMaxNanos) return 0;
    last_unit = unit;
    text.remove_prefix(static_cast<size_t>(end - text.data()) + 1);
  }
  return total;
}

}  // namespace

std::string_view KindName(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull: return "nothing";
    case YamlNode::Kind::kScalar: return "text";
    case YamlNode::Kind::kSequence: return "a sequence";
    case YamlNode::Kind::kMapping: return "a mapping";
  }
  return "nothing";
}

Result<Fields> Fields::Of(const std::string& path, const YamlNode& node, std::string_view what,
                          std::span<const std::string_view> known) {
  if (node.kind != YamlNode::Kind::kMapping) {
    return YamlError(path, node, "{} must be a mapping, not {}", what, KindName(node));
  }
  std::set<std::string_view> seen;
  for (size_t i = 0; i < node.items.size(); i += 2) {
    const YamlNode& key = node.items[i];
    if (key.kind != YamlNode::Kind::kScalar) {
      return YamlError(path, key, "a key of {} must be text, not {}", what, KindName(key));
    }
    if (std::find(known.begin(), known.end(), key.text) == known.end()) {
      return YamlError(path, key, "unknown key {} in {}{}", Quoted(key.text), what, Suggestion(key.text, known));
    }
    if (!seen.insert(key.text).second) return YamlError(path, key, "key \"{}\" is given twice in {}", key.text, what);
  }
  return Fields(&path, &node, what);
}

const YamlNode* Fields::Find(std::string_view key) const {
  for (size_t i = 0; i + 1 < node_->items.size(); i += 2) {
    if (node_->items[i].text == key) return &node_->items[i + 1];
  }
  return nullptr;
}

Result<const YamlNode*> Fields::Require(std::string_view key) const {
  const YamlNode* value = Find(key);
  if (value == nullptr) return YamlError(*path_, *node_, "{} lacks the key \"{}\"", what_, key);
  return value;
}

Result<std::string> ReadText(const std::string& path, const YamlNode& node, size_t bytes_max) {
  if (node.kind != YamlNode::Kind::kScalar) return YamlError(path, node, "expected text, found {}", KindName(node));
  if (node.text.empty()) return YamlError(path, node, "expected text, found an empty one");
  if (node.text.size() > bytes_max) return YamlError(path, node, "text is longer than {} bytes", bytes_max);
  if (node.is_plain && (LooksLikeNumber(node.text) || LooksLikeBoolOrNull(node.text))) {
    return YamlError(path, node, "expected text, found {}; put it in quotes if text is meant", node.text);
  }
  return node.text;
}

Result<std::string> ReadName(const std::string& path, const YamlNode& node) {
  ASSIGN_OR_RETURN(std::string name, ReadText(path, node, 63));
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  const bool starts_well = std::string_view("-_.").find(name.front()) == std::string_view::npos;
  if (!starts_well || name.find_first_not_of(kAllowed) != std::string::npos) {
    return YamlError(path, node, "{} is not a name: use letters, digits, '-', '_' and '.'", Quoted(name));
  }
  return name;
}

Result<bool> ReadBool(const std::string& path, const YamlNode& node) {
  if (node.kind == YamlNode::Kind::kScalar && node.is_plain) {
    if (node.text == "true") return true;
    if (node.text == "false") return false;
  }
  const std::string found = node.kind == YamlNode::Kind::kScalar ? Quoted(node.text) : std::string(KindName(node));
  return YamlError(path, node, "expected true or false, found {}", found);
}

Result<int64_t> ReadInteger(const std::string& path, const YamlNode& node, int64_t least, int64_t most) {
  const std::string found = node.kind == YamlNode::Kind::kScalar ? Quoted(node.text) : std::string(KindName(node));
  int64_t value = 0;
  const char* const begin = node.text.data();
  const char* const end = begin + node.text.size();
  const auto [stop, error] = std::from_chars(begin, end, value);
  if (node.kind != YamlNode::Kind::kScalar || !node.is_plain || error != std::errc() || stop != end) {
    return YamlError(path, node, "expected a whole number, found {}", found);
  }
  if (value < least || value > most) {
    return YamlError(path, node, "expected a number from {} to {}, found {}", least, most, value);
  }
  return value;
}

Result<int64_t> ReadDurationNanos(const std::string& path, const YamlNode& node) {
  const std::string found = node.kind == YamlNode::Kind::kScalar ? Quoted(node.text) : std::string(KindName(node));
  const int64_t nanos = node.kind == YamlNode::Kind::kScalar ? ParseDuration(node.text) : 0;
  if (nanos == 0) {
    return YamlError(path, node, "expected a duration such as 72h, 90m or 14d (above zero, at most ten years), found {}",
                     found);
  }
  return nanos;
}

Result<size_t> ReadWord(const std::string& path, const YamlNode& node, std::span<const std::string_view> words) {
  if (node.kind != YamlNode::Kind::kScalar) {
    return YamlError(path, node, "expected one of: {}; found {}", JoinWords(words), KindName(node));
  }
  const auto found = std::find(words.begin(), words.end(), node.text);
  if (found == words.end()) {
    return YamlError(path, node, "unknown value {}{}", Quoted(node.text), Suggestion(node.text, words));
  }
  return static_cast<size_t>(found - words.begin());
}

Result<const std::vector<YamlNode>*> ReadSequence(const std::string& path, const YamlNode& node, size_t items_max,
                                                  bool may_be_empty) {
  if (node.kind != YamlNode::Kind::kSequence) {
    return YamlError(path, node, "expected a sequence, found {}", KindName(node));
  }
  if (node.items.empty() && !may_be_empty) {
    return YamlError(path, node, "an empty sequence is never right here; leave the key out");
  }
  if (node.items.size() > items_max) return YamlError(path, node, "more than {} elements", items_max);
  return &node.items;
}

Result<std::vector<std::string>> ReadTextList(const std::string& path, const YamlNode& node, bool may_be_empty) {
  ASSIGN_OR_RETURN(const std::vector<YamlNode>* items, ReadSequence(path, node, kListItemsMax, may_be_empty));
  std::vector<std::string> texts;
  std::set<std::string> seen;
  for (const YamlNode& item : *items) {
    ASSIGN_OR_RETURN(std::string text, ReadText(path, item));
    if (!seen.insert(text).second) return YamlError(path, item, "{} is listed twice", Quoted(text));
    texts.push_back(std::move(text));
  }
  return texts;
}

Result<std::vector<std::string>> ReadWordList(const std::string& path, const YamlNode& node,
                                              std::span<const std::string_view> words, bool may_be_empty) {
  ASSIGN_OR_RETURN(std::vector<std::string> texts, ReadTextList(path, node, may_be_empty));
  for (const YamlNode& item : node.items) {
    const auto word = ReadWord(path, item, words);
    if (!word) return word.error();
  }
  return texts;
}

}  // namespace bulwark::policy
