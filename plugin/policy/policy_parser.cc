#include "plugin/policy/policy_parser.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/oci/digest.h"
#include "plugin/policy/requirement_parser.h"
#include "plugin/policy/rule_parser.h"
#include "plugin/policy/yaml_fields.h"
#include "plugin/policy/yaml_reader.h"

namespace bulwark::policy {
namespace {

using base::Code;
using base::Error;
using base::Result;
using base::Status;

constexpr size_t kRulesMax = 1000;
// Ties are looked for among all pairs of patterns.
constexpr size_t kPatternsMax = 2000;

constexpr std::string_view kDocumentKeys[] = {"apiVersion", "kind", "metadata", "defaults", "authorities", "rules"};

// One YAML document, its top level checked, nothing below it read yet.
struct Document {
  const std::string* path;
  Fields fields;
};

Status CheckConstant(const std::string& path, const Fields& fields, std::string_view key, std::string_view expected) {
  ASSIGN_OR_RETURN(const YamlNode* node, fields.Require(key));
  const std::string_view words[] = {expected};
  const auto word = ReadWord(path, *node, words);
  if (!word) return word.error();
  return base::OkStatus();
}

Status CheckMetadata(const std::string& path, const YamlNode& node) {
  static constexpr std::string_view kKnown[] = {"name", "description"};
  ASSIGN_OR_RETURN(const Fields fields, Fields::Of(path, node, "metadata", kKnown));
  if (const YamlNode* name = fields.Find("name")) {
    if (auto text = ReadName(path, *name); !text) return std::move(text).error();
  }
  if (const YamlNode* description = fields.Find("description")) {
    if (auto text = ReadText(path, *description); !text) return std::move(text).error();
  }
  return base::OkStatus();
}

Result<Document> OpenDocument(const std::string& path, const YamlNode& root) {
  ASSIGN_OR_RETURN(Fields fields, Fields::Of(path, root, "policy", kDocumentKeys));
  RETURN_IF_ERROR(CheckConstant(path, fields, "apiVersion", "bulwark.dev/v1"));
  RETURN_IF_ERROR(CheckConstant(path, fields, "kind", "Policy"));
  if (const YamlNode* metadata = fields.Find("metadata")) RETURN_IF_ERROR(CheckMetadata(path, *metadata));
  return Document{&path, fields};
}

// Given at most once in the whole set: two files that disagree about the default would be settled by their names.
Result<Defaults> ParseDefaults(const std::vector<Document>& documents) {
  static constexpr std::string_view kKnown[] = {"action", "mode"};
  Defaults defaults;
  std::optional<std::string> given_at;
  for (const Document& document : documents) {
    const std::string& path = *document.path;
    const YamlNode* node = document.fields.Find("defaults");
    if (node == nullptr) continue;
    if (given_at) return YamlError(path, *node, "defaults are given twice; the other place is {}", *given_at);
    given_at = fmt::format("{}:{}", path, node->line);
    ASSIGN_OR_RETURN(const Fields fields, Fields::Of(path, *node, "defaults", kKnown));
    if (const YamlNode* action = fields.Find("action")) {
      ASSIGN_OR_RETURN(defaults.action, ParseAction(path, *action));
    }
    if (const YamlNode* mode = fields.Find("mode")) {
      ASSIGN_OR_RETURN(defaults.mode, ParseMode(path, *mode));
    }
  }
  return defaults;
}

Result<std::vector<Rule>> ParseRules(const std::vector<Document>& documents, const Authorities& authorities,
                                     const Defaults& defaults) {
  std::vector<Rule> rules;
  std::set<std::string> names;
  size_t patterns = 0;
  for (const Document& document : documents) {
    const std::string& path = *document.path;
    const YamlNode* node = document.fields.Find("rules");
    if (node == nullptr) continue;
    ASSIGN_OR_RETURN(const std::vector<YamlNode>* items, ReadSequence(path, *node, kRulesMax, true));
    for (const YamlNode& item : *items) {
      ASSIGN_OR_RETURN(Rule rule, ParseRule(path, item, authorities, defaults));
      if (!names.insert(rule.name).second) return YamlError(path, item, "rule {} is defined twice", rule.name);
      patterns += rule.match.images.size();
      if (rules.size() >= kRulesMax || patterns > kPatternsMax) {
        return YamlError(path, item, "more than {} rules or {} image patterns in all files", kRulesMax, kPatternsMax);
      }
      rules.push_back(std::move(rule));
    }
  }
  return rules;
}

std::string_view BaseName(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// Over a list of lines "policy NAME DIGEST" and "key FILE DIGEST" in order, NAME without its directory, so that nodes
// with the same files have the same digest wherever the files lie.
std::string DigestOf(std::span<const PolicyFile> files, const std::vector<KeyText>& keys) {
  std::string lines;
  for (const PolicyFile& file : files) {
    lines += fmt::format("policy {} {}\n", BaseName(file.path), oci::Sha256Digest(file.text));
  }
  for (const KeyText& key : keys) lines += fmt::format("key {} {}\n", key.file, oci::Sha256Digest(key.text));
  return oci::Sha256Digest(lines);
}

}  // namespace

Result<PolicySet> ParsePolicy(std::span<const PolicyFile> files, const KeyReader& read_key, const KeyCheck& check_key) {
  if (files.size() > kPolicyFilesMax) {
    return Error::Make(Code::kInvalidArgument, "more than {} policy files", kPolicyFilesMax);
  }
  // Documents refer to these trees, which must not move.
  std::vector<std::vector<YamlNode>> trees(files.size());
  std::vector<Document> documents;
  for (size_t i = 0; i < files.size(); ++i) {
    const PolicyFile& file = files[i];
    if (file.text.size() > kPolicyFileBytesMax) {
      return Error::Make(Code::kInvalidArgument, "{}:1:1: larger than {} bytes", file.path, kPolicyFileBytesMax);
    }
    ASSIGN_OR_RETURN(trees[i], ReadYaml(file.path, file.text));
    for (const YamlNode& root : trees[i]) {
      ASSIGN_OR_RETURN(Document document, OpenDocument(file.path, root));
      documents.push_back(document);
    }
  }

  ASSIGN_OR_RETURN(const Defaults defaults, ParseDefaults(documents));
  Authorities authorities;
  std::vector<KeyText> keys;
  for (const Document& document : documents) {
    if (const YamlNode* node = document.fields.Find("authorities")) {
      RETURN_IF_ERROR(ParseAuthorities(*document.path, *node, read_key, check_key, &authorities, &keys));
    }
  }
  ASSIGN_OR_RETURN(std::vector<Rule> rules, ParseRules(documents, authorities, defaults));
  return PolicySet::Make(defaults, std::move(rules), DigestOf(files, keys));
}

}  // namespace bulwark::policy
