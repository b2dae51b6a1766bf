#include "plugin/policy/yaml_reader.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <exception>
#include <optional>
#include <sstream>
#include <utility>

namespace bulwark::policy {
namespace {

using base::Code;
using base::Error;

struct Position {
  int line = 1;
  int column = 1;
};

Error ErrorAt(const std::string& path, Position at, std::string_view message) {
  return Error::Make(Code::kInvalidArgument, "{}:{}:{}: {}", path, at.line, at.column, message);
}

// The length of the UTF-8 sequence that starts `text`, or 0 if there is none (RFC 3629, section 4: no overlong forms, no
// surrogates, nothing above U+10FFFF).
size_t Utf8Length(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const auto tail = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return tail(1) ? 2 : 0;
  if ((lead & 0xF0) == 0xE0) {
    if (lead == 0xE0 && byte(1) < 0xA0) return 0;
    if (lead == 0xED && byte(1) > 0x9F) return 0;
    return tail(1) && tail(2) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    if (lead == 0xF0 && byte(1) < 0x90) return 0;
    if (lead == 0xF4 && byte(1) > 0x8F) return 0;
    return tail(1) && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

// yaml-cpp guesses UTF-16 and UTF-32 and lets control characters through; both can hide text from a reviewer.
base::Status CheckCharacters(const std::string& path, std::string_view text) {
  Position at;
  for (size_t i = 0; i < text.size();) {
    const size_t length = Utf8Length(text.substr(i));
    if (length == 0) return ErrorAt(path, at, "not UTF-8");
    const auto c = static_cast<unsigned char>(text[i]);
    if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7F) {
      return ErrorAt(path, at, "control character; remove it");
    }
    // U+FEFF, and the marks that reorder text on screen (U+202A-202E, U+2066-2069; "Trojan Source", CVE-2021-42574).
    const std::string_view rune = text.substr(i, length);
    if (rune == "\xEF\xBB\xBF" || (rune >= "\xE2\x80\xAA" && rune <= "\xE2\x80\xAE") ||
        (rune >= "\xE2\x81\xA6" && rune <= "\xE2\x81\xA9")) {
      return ErrorAt(path, at, "invisible formatting character; remove it");
    }
    i += length;
    at.column++;
    if (c == '\n') at = {at.line + 1, 1};
  }
  return base::OkStatus();
}

// Builds the tree of one document. The first offence is kept, and everything after it is ignored.
class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(const std::string& path, std::string_view text, size_t* nodes) : path_(path), text_(text), nodes_(nodes) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    YamlNode* node = Add(mark, "", anchor);
    if (node == nullptr) return;
    node->kind = YamlNode::Kind::kNull;
    // yaml-cpp gives the position of whatever follows; of a value that is missing, the key's is the one that helps.
    if (open_.empty() || open_.back()->kind != YamlNode::Kind::kMapping) return;
    const std::vector<YamlNode>& siblings = open_.back()->items;
    if (siblings.size() % 2 != 0) return;
    node->line = siblings[siblings.size() - 2].line;
    node->column = siblings[siblings.size() - 2].column;
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Refuse(mark, "aliases are not allowed in policies; write the value out");
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, const std::string& value) override {
    YamlNode* node = Add(mark, tag, anchor);
    if (node == nullptr) return;
    node->kind = YamlNode::Kind::kScalar;
    node->text = value;
    node->is_plain = tag == "?";
    if (!IsQuoteClosed(mark)) Refuse(mark, "the quote is not closed");
    if (node->is_plain && value == "<<") Refuse(mark, "merge keys are not allowed in policies; write the keys out");
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(mark, tag, anchor, YamlNode::Kind::kSequence);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    Open(mark, tag, anchor, YamlNode::Kind::kMapping);
  }
  void OnMapEnd() override { Close(); }

  const std::optional<Error>& error() const { return error_; }
  YamlNode TakeRoot() { return std::move(root_); }

 private:
  void Refuse(const YAML::Mark& mark, std::string_view message) {
    if (!error_) error_ = ErrorAt(path_, {mark.line + 1, mark.column + 1}, message);
  }

  // yaml-cpp takes the end of the file for a closing quote, so that a file cut short would be read as if it were whole.
  bool IsQuoteClosed(const YAML::Mark& mark) const {
    if (mark.pos < 0 || static_cast<size_t>(mark.pos) >= text_.size()) return true;
    const std::string_view rest = text_.substr(static_cast<size_t>(mark.pos));
    const char quote = rest.front();
    if (quote != '\'' && quote != '"') return true;
    for (size_t i = 1; i < rest.size(); ++i) {
      const bool is_doubled = quote == '\'' && i + 1 < rest.size() && rest[i + 1] == quote;
      if (rest[i] == quote && !is_doubled) return true;
      if (rest[i] == quote || (rest[i] == '\\' && quote == '"')) i++;
    }
    return false;
  }

  // Appends a node below the innermost open collection (or as the root); nullptr once the document is refused.
  YamlNode* Add(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (error_) return nullptr;
    if (anchor != YAML::NullAnchor) Refuse(mark, "anchors are not allowed in policies");
    // yaml-cpp gives "?" for plain and untagged, "!" for quoted scalars; anything else was written as a tag.
    if (!tag.empty() && tag != "?" && tag != "!") Refuse(mark, "tags are not allowed in policies");
    if (++*nodes_ > kYamlNodesMax) Refuse(mark, "too many values in one file");
    if (error_) return nullptr;
    YamlNode* node = &root_;
    if (!open_.empty()) node = &open_.back()->items.emplace_back();
    node->line = mark.line + 1;
    node->column = mark.column + 1;
    return node;
  }

  void Open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YamlNode::Kind kind) {
    if (open_.size() >= kYamlDepthMax) Refuse(mark, "nested too deeply");
    YamlNode* node = Add(mark, tag, anchor);
    if (node == nullptr) return;
    node->kind = kind;
    // Stays valid: a parent's `items` only grows after this node was closed.
    open_.push_back(node);
  }

  void Close() {
    if (!error_) open_.pop_back();
  }

  const std::string& path_;
  const std::string_view text_;
  size_t* const nodes_;
  YamlNode root_;
  std::vector<YamlNode*> open_;
  std::optional<Error> error_;
};

base::Result<std::vector<YamlNode>> ReadDocuments(const std::string& path, std::string_view text) {
  std::istringstream stream{std::string(text)};
  YAML::Parser parser(stream);
  std::vector<YamlNode> documents;
  size_t nodes = 0;
  while (true) {
    TreeBuilder builder(path, text, &nodes);
    if (!parser.HandleNextDocument(builder)) return documents;
    if (builder.error()) return *builder.error();
    YamlNode root = builder.TakeRoot();
    if (root.kind != YamlNode::Kind::kNull) documents.push_back(std::move(root));
  }
}

}  // namespace

base::Result<std::vector<YamlNode>> ReadYaml(const std::string& path, std::string_view text) {
  RETURN_IF_ERROR(CheckCharacters(path, text));
  try {
    return ReadDocuments(path, text);
  } catch (const YAML::Exception& e) {
    const Position at = {std::max(e.mark.line + 1, 1), std::max(e.mark.column + 1, 1)};
    return ErrorAt(path, at, fmt::format("not valid YAML: {}", e.msg));
  } catch (const std::exception& e) {
    return ErrorAt(path, {}, fmt::format("not valid YAML: {}", e.what()));
  }
}

}  // namespace bulwark::policy
