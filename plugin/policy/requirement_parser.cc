#include "plugin/policy/requirement_parser.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include "lib/base/closest_name.h"
#include "plugin/policy/yaml_fields.h"

namespace bulwark::policy {
namespace {

using base::Result;
using base::Status;
using trust::ReferenceMatch;
using trust::Severity;

constexpr size_t kKeysPerAuthorityMax = 32;
constexpr size_t kAnnotationsMax = 32;
constexpr std::string_view kPemBegin = "-----BEGIN PUBLIC KEY-----";
constexpr std::string_view kPemEnd = "-----END PUBLIC KEY-----";

constexpr std::string_view kReferenceWords[] = {"repository", "repositoryOrExact", "exact", "any"};
constexpr ReferenceMatch kReferenceValues[] = {ReferenceMatch::kRepository, ReferenceMatch::kRepoDigestOrExact,
                                               ReferenceMatch::kExact, ReferenceMatch::kAny};

constexpr std::string_view kBlockWords[] = {"negligible", "low", "medium", "high", "critical"};
constexpr Severity kBlockValues[] = {Severity::kNegligible, Severity::kLow, Severity::kMedium, Severity::kHigh,
                                     Severity::kCritical};
constexpr std::string_view kUnknownAsWords[] = {"none", "negligible", "low", "medium", "high", "critical"};
constexpr Severity kUnknownAsValues[] = {Severity::kNone,   Severity::kNegligible, Severity::kLow,
                                         Severity::kMedium, Severity::kHigh,       Severity::kCritical};

// Relative to the directory the policy file lies in.
std::string ResolveKeyPath(const std::string& policy_path, const std::string& key_path) {
  if (key_path.front() == '/') return key_path;
  const size_t slash = policy_path.rfind('/');
  return slash == std::string::npos ? key_path : policy_path.substr(0, slash + 1) + key_path;
}

// Appends each "PUBLIC KEY" block of a key file. Whether the base64 inside is a key that can be used is decided by
// `check_key` or, at the latest, when a signature is verified with it.
Status SplitPem(const std::string& path, const YamlNode& at, const std::string& file, std::string_view text,
                const KeyCheck& check_key, trust::Authority* authority) {
  if (text.find("PRIVATE KEY-----") != std::string_view::npos) {
    return YamlError(path, at, "{} holds a private key; give the public key, and treat the private one as exposed", file);
  }
  size_t found = 0;
  while (true) {
    const size_t begin = text.find(kPemBegin);
    if (begin == std::string_view::npos) break;
    const size_t end = text.find(kPemEnd, begin);
    if (end == std::string_view::npos) return YamlError(path, at, "{} ends within a PEM block", file);
    std::string pem = std::string(text.substr(begin, end + kPemEnd.size() - begin)) + "\n";
    if (check_key) {
      if (const auto usable = check_key(pem); !usable) {
        return YamlError(path, at, "key of authority {}: {}: {}", authority->name, file, usable.error().message());
      }
    }
    authority->key_pems.push_back(std::move(pem));
    authority->key_files.push_back(file);
    text.remove_prefix(end + kPemEnd.size());
    found++;
  }
  if (found == 0) return YamlError(path, at, "{} holds no PEM block \"PUBLIC KEY\"", file);
  if (authority->key_pems.size() > kKeysPerAuthorityMax) {
    return YamlError(path, at, "authority {} has more than {} keys", authority->name, kKeysPerAuthorityMax);
  }
  return base::OkStatus();
}

Result<trust::Authority> ParseAuthority(const std::string& path, const std::string& name, const YamlNode& node,
                                        const KeyReader& read_key, const KeyCheck& check_key,
                                        std::vector<KeyText>* keys) {
  static constexpr std::string_view kKnown[] = {"cosignKey"};
  static constexpr std::string_view kCosignKnown[] = {"files"};
  ASSIGN_OR_RETURN(const Fields fields, Fields::Of(path, node, "authority", kKnown));
  ASSIGN_OR_RETURN(const YamlNode* cosign, fields.Require("cosignKey"));
  ASSIGN_OR_RETURN(const Fields key, Fields::Of(path, *cosign, "cosignKey", kCosignKnown));
  ASSIGN_OR_RETURN(const YamlNode* files, key.Require("files"));
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ReadTextList(path, *files, false));

  trust::Authority authority;
  authority.name = name;
  for (size_t i = 0; i < names.size(); ++i) {
    const YamlNode& at = files->items[i];
    const std::string file = ResolveKeyPath(path, names[i]);
    auto text = read_key(file);
    if (!text) return YamlError(path, at, "key of authority {}: {}", name, text.error().message());
    RETURN_IF_ERROR(SplitPem(path, at, file, *text, check_key, &authority));
    keys->push_back({names[i], std::move(text).value()});
  }
  return authority;
}

Status ParseReferenceMatch(const std::string& path, const YamlNode& node, trust::SignatureRequirement* requirement) {
  if (node.kind != YamlNode::Kind::kMapping) {
    ASSIGN_OR_RETURN(const size_t word, ReadWord(path, node, kReferenceWords));
    requirement->reference_match = kReferenceValues[word];
    return base::OkStatus();
  }
  static constexpr std::string_view kKnown[] = {"match", "remap"};
  static constexpr std::string_view kRemapKnown[] = {"prefix", "signedPrefix"};
  ASSIGN_OR_RETURN(const Fields fields, Fields::Of(path, node, "signatures.reference", kKnown));
  if (const YamlNode* match = fields.Find("match")) {
    ASSIGN_OR_RETURN(const size_t word, ReadWord(path, *match, kReferenceWords));
    requirement->reference_match = kReferenceValues[word];
  }
  const YamlNode* remap = fields.Find("remap");
  if (remap == nullptr) return base::OkStatus();
  if (requirement->reference_match == ReferenceMatch::kAny) {
    return YamlError(path, *remap, "remap has no effect with match: any; leave one of them out");
  }
  ASSIGN_OR_RETURN(const Fields prefixes, Fields::Of(path, *remap, "signatures.reference.remap", kRemapKnown));
  ASSIGN_OR_RETURN(const YamlNode* prefix, prefixes.Require("prefix"));
  ASSIGN_OR_RETURN(const YamlNode* signed_prefix, prefixes.Require("signedPrefix"));
  ASSIGN_OR_RETURN(requirement->remap_prefix, ReadText(path, *prefix, 255));
  ASSIGN_OR_RETURN(requirement->remap_signed_prefix, ReadText(path, *signed_prefix, 255));
  return base::OkStatus();
}

Result<std::map<std::string, std::string>> ParseAnnotations(const std::string& path, const YamlNode& node) {
  if (node.kind != YamlNode::Kind::kMapping) {
    return YamlError(path, node, "annotations must be a mapping of text to text, not {}", KindName(node));
  }
  if (node.items.size() / 2 > kAnnotationsMax) return YamlError(path, node, "more than {} annotations", kAnnotationsMax);
  std::map<std::string, std::string> annotations;
  for (size_t i = 0; i + 1 < node.items.size(); i += 2) {
    ASSIGN_OR_RETURN(std::string key, ReadText(path, node.items[i], 256));
    ASSIGN_OR_RETURN(std::string value, ReadText(path, node.items[i + 1]));
    if (annotations.count(key) > 0) return YamlError(path, node.items[i], "annotation {:?} is given twice", key);
    annotations.emplace(std::move(key), std::move(value));
  }
  return annotations;
}

// `signedDigests`: which digest of a multi-platform image a signature may be about.
Status ParseSignedDigests(const std::string& path, const YamlNode& node, trust::SignatureRequirement* requirement) {
  static constexpr std::string_view kWords[] = {"index", "manifest"};
  ASSIGN_OR_RETURN(const std::vector<std::string> listed, ReadWordList(path, node, kWords, false));
  requirement->accept_index = std::find(listed.begin(), listed.end(), "index") != listed.end();
  requirement->accept_manifest = std::find(listed.begin(), listed.end(), "manifest") != listed.end();
  return base::OkStatus();
}

Status ParseBlock(const std::string& path, const YamlNode& node, trust::ScanRequirement* requirement) {
  static constexpr std::string_view kKnown[] = {"severity", "fixableOnly"};
  ASSIGN_OR_RETURN(const Fields fields, Fields::Of(path, node, "scan.block", kKnown));
  ASSIGN_OR_RETURN(const YamlNode* severity, fields.Require("severity"));
  ASSIGN_OR_RETURN(const size_t word, ReadWord(path, *severity, kBlockWords));
  requirement->block_severity = kBlockValues[word];
  if (const YamlNode* fixable = fields.Find("fixableOnly")) {
    ASSIGN_OR_RETURN(requirement->fixable_only, ReadBool(path, *fixable));
  }
  return base::OkStatus();
}

}  // namespace

Status ParseAuthorities(const std::string& path, const YamlNode& node, const KeyReader& read_key,
                        const KeyCheck& check_key, Authorities* authorities, std::vector<KeyText>* keys) {
  if (node.kind != YamlNode::Kind::kMapping) {
    return YamlError(path, node, "authorities must be a mapping of names to keys, not {}", KindName(node));
  }
  for (size_t i = 0; i + 1 < node.items.size(); i += 2) {
    const YamlNode& key = node.items[i];
    ASSIGN_OR_RETURN(std::string name, ReadName(path, key));
    if (authorities->count(name) > 0) return YamlError(path, key, "authority {} is defined twice", name);
    ASSIGN_OR_RETURN(trust::Authority authority, ParseAuthority(path, name, node.items[i + 1], read_key, check_key, keys));
    authorities->emplace(std::move(name), std::move(authority));
  }
  return base::OkStatus();
}

Result<trust::SignatureRequirement> ParseSignatures(const std::string& path, const YamlNode& node,
                                                    const Authorities& authorities) {
  static constexpr std::string_view kKnown[] = {"atLeast", "of", "reference", "annotations", "signedDigests"};
  ASSIGN_OR_RETURN(const Fields fields, Fields::Of(path, node, "require.signatures", kKnown));
  trust::SignatureRequirement requirement;
  ASSIGN_OR_RETURN(const YamlNode* of, fields.Require("of"));
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ReadTextList(path, *of, false));
  for (size_t i = 0; i < names.size(); ++i) {
    const auto found = authorities.find(names[i]);
    if (found == authorities.end()) {
      std::vector<std::string_view> known;
      for (const auto& [name, authority] : authorities) known.push_back(name);
      const std::string_view closest = base::ClosestName(names[i], known);
      return YamlError(path, of->items[i], "unknown authority {:?}{}", names[i],
                       closest.empty() ? "; define it under authorities" : fmt::format("; did you mean \"{}\"?", closest));
    }
    requirement.authorities.push_back(found->second);
  }
  if (const YamlNode* at_least = fields.Find("atLeast")) {
    ASSIGN_OR_RETURN(const int64_t count, ReadInteger(path, *at_least, 1, static_cast<int64_t>(names.size())));
    requirement.at_least = static_cast<unsigned>(count);
  }
  if (const YamlNode* reference = fields.Find("reference")) {
    RETURN_IF_ERROR(ParseReferenceMatch(path, *reference, &requirement));
  }
  if (const YamlNode* annotations = fields.Find("annotations")) {
    ASSIGN_OR_RETURN(requirement.annotations, ParseAnnotations(path, *annotations));
  }
  if (const YamlNode* digests = fields.Find("signedDigests")) {
    RETURN_IF_ERROR(ParseSignedDigests(path, *digests, &requirement));
  }
  return requirement;
}

Result<trust::ScanRequirement> ParseScan(const std::string& path, const YamlNode& node) {
  static constexpr std::string_view kKnown[] = {"maxAge",          "block",  "unknownAs",
                                                "refuseEndOfLife", "accept", "scanners"};
  ASSIGN_OR_RETURN(const Fields fields, Fields::Of(path, node, "require.scan", kKnown));
  trust::ScanRequirement requirement;
  ASSIGN_OR_RETURN(const YamlNode* max_age, fields.Require("maxAge"));
  ASSIGN_OR_RETURN(requirement.max_age_ns, ReadDurationNanos(path, *max_age));
  if (const YamlNode* block = fields.Find("block")) RETURN_IF_ERROR(ParseBlock(path, *block, &requirement));
  if (const YamlNode* unknown = fields.Find("unknownAs")) {
    ASSIGN_OR_RETURN(const size_t word, ReadWord(path, *unknown, kUnknownAsWords));
    requirement.unknown_as = kUnknownAsValues[word];
  }
  if (const YamlNode* end_of_life = fields.Find("refuseEndOfLife")) {
    ASSIGN_OR_RETURN(requirement.refuse_end_of_life, ReadBool(path, *end_of_life));
  }
  if (const YamlNode* accept = fields.Find("accept")) {
    ASSIGN_OR_RETURN(requirement.accepted_findings, ReadTextList(path, *accept, true));
  }
  if (const YamlNode* scanners = fields.Find("scanners")) {
    ASSIGN_OR_RETURN(requirement.scanners, ReadTextList(path, *scanners, false));
  }
  return requirement;
}

}  // namespace bulwark::policy
