#include "plugin/policy/rule_parser.h"

#include <string_view>
#include <utility>

#include "lib/oci/reference_pattern.h"
#include "plugin/policy/yaml_fields.h"

namespace bulwark::policy {
namespace {

using base::Result;
using base::Status;

constexpr size_t kPatternsPerRuleMax = 500;
constexpr size_t kExecEntriesMax = 500;
constexpr size_t kArgvMax = 256;
constexpr size_t kUsersMax = 256;

// capabilities(7), by number; the last is CAP_CHECKPOINT_RESTORE (Linux 5.9).
constexpr std::string_view kCapabilities[] = {
    "CAP_CHOWN",           "CAP_DAC_OVERRIDE",    "CAP_DAC_READ_SEARCH", "CAP_FOWNER",
    "CAP_FSETID",          "CAP_KILL",            "CAP_SETGID",          "CAP_SETUID",
    "CAP_SETPCAP",         "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",       "CAP_NET_RAW",         "CAP_IPC_LOCK",        "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",      "CAP_SYS_RAWIO",       "CAP_SYS_CHROOT",      "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",       "CAP_SYS_ADMIN",       "CAP_SYS_BOOT",        "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",    "CAP_SYS_TIME",        "CAP_SYS_TTY_CONFIG",  "CAP_MKNOD",
    "CAP_LEASE",           "CAP_AUDIT_WRITE",     "CAP_AUDIT_CONTROL",   "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",    "CAP_MAC_ADMIN",       "CAP_SYSLOG",          "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",   "CAP_AUDIT_READ",      "CAP_PERFMON",         "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE"};

Result<RuleMatch> ParseMatch(const std::string& path, const YamlNode& node) {
  static constexpr std::string_view kKnown[] = {"images", "containerdNamespaces", "kubernetesNamespaces"};
  ASSIGN_OR_RETURN(const Fields fields, Fields::Of(path, node, "match", kKnown));
  RuleMatch match;
  ASSIGN_OR_RETURN(const YamlNode* images, fields.Require("images"));
  ASSIGN_OR_RETURN(match.images, ReadTextList(path, *images, false));
  if (match.images.size() > kPatternsPerRuleMax) {
    return YamlError(path, *images, "more than {} image patterns in one rule", kPatternsPerRuleMax);
  }
  for (const YamlNode& item : images->items) {
    const auto pattern = oci::ReferencePattern::Parse(item.text);
    if (!pattern) return YamlError(path, item, "{}", pattern.error().message());
  }
  if (const YamlNode* namespaces = fields.Find("containerdNamespaces")) {
    ASSIGN_OR_RETURN(match.containerd_namespaces, ReadTextList(path, *namespaces, false));
  }
  if (const YamlNode* namespaces = fields.Find("kubernetesNamespaces")) {
    ASSIGN_OR_RETURN(match.kubernetes_namespaces, ReadTextList(path, *namespaces, false));
  }
  return match;
}

Result<std::vector<std::string>> ReadPaths(const std::string& path, const YamlNode& node) {
  ASSIGN_OR_RETURN(std::vector<std::string> paths, ReadTextList(path, node, true));
  for (const YamlNode& item : node.items) {
    const std::string probe = item.text + "/";
    if (item.text.front() != '/' || probe.find("//") != std::string::npos || probe.find("/../") != std::string::npos ||
        probe.find("/./") != std::string::npos) {
      return YamlError(path, item, "expected an absolute path without \".\", \"..\" and empty parts");
    }
  }
  return paths;
}

Status ReadSwitch(const std::string& path, const Fields& fields, std::string_view key, bool* value) {
  if (const YamlNode* node = fields.Find(key)) {
    ASSIGN_OR_RETURN(*value, ReadBool(path, *node));
  }
  return base::OkStatus();
}

Result<Profile> ParseProfile(const std::string& path, const YamlNode& node) {
  static constexpr std::string_view kKnown[] = {"seccomp",     "capabilities",  "noNewPrivileges", "readonlyRootfs",
                                                "maskedPaths", "readonlyPaths", "allowPrivileged", "allowHooks",
                                                "allowHostNamespaces"};
  ASSIGN_OR_RETURN(const Fields fields, Fields::Of(path, node, "profile", kKnown));
  Profile profile;
  if (const YamlNode* seccomp = fields.Find("seccomp")) {
    ASSIGN_OR_RETURN(profile.seccomp, ReadName(path, *seccomp));
  }
  if (const YamlNode* capabilities = fields.Find("capabilities")) {
    ASSIGN_OR_RETURN(profile.capabilities, ReadWordList(path, *capabilities, kCapabilities, true));
  }
  if (const YamlNode* paths = fields.Find("maskedPaths")) {
    ASSIGN_OR_RETURN(profile.masked_paths, ReadPaths(path, *paths));
  }
  if (const YamlNode* paths = fields.Find("readonlyPaths")) {
    ASSIGN_OR_RETURN(profile.readonly_paths, ReadPaths(path, *paths));
  }
  RETURN_IF_ERROR(ReadSwitch(path, fields, "noNewPrivileges", &profile.no_new_privileges));
  RETURN_IF_ERROR(ReadSwitch(path, fields, "readonlyRootfs", &profile.readonly_rootfs));
  RETURN_IF_ERROR(ReadSwitch(path, fields, "allowPrivileged", &profile.allow_privileged));
  RETURN_IF_ERROR(ReadSwitch(path, fields, "allowHooks", &profile.allow_hooks));
  RETURN_IF_ERROR(ReadSwitch(path, fields, "allowHostNamespaces", &profile.allow_host_namespaces));
  return profile;
}

Result<ExecAllow> ParseExecAllow(const std::string& path, const YamlNode& node) {
  static constexpr std::string_view kKnown[] = {"argv", "argvPrefix", "terminal", "stdin", "users"};
  ASSIGN_OR_RETURN(const Fields fields, Fields::Of(path, node, "exec.allow", kKnown));
  const YamlNode* argv = fields.Find("argv");
  const YamlNode* prefix = fields.Find("argvPrefix");
  if ((argv == nullptr) == (prefix == nullptr)) {
    return YamlError(path, node, "exec.allow needs exactly one of \"argv\" and \"argvPrefix\"");
  }
  ExecAllow allow;
  allow.is_prefix = prefix != nullptr;
  ASSIGN_OR_RETURN(const std::vector<YamlNode>* words,
                   ReadSequence(path, allow.is_prefix ? *prefix : *argv, kArgvMax, false));
  for (const YamlNode& word : *words) {
    ASSIGN_OR_RETURN(std::string text, ReadText(path, word));
    allow.argv.push_back(std::move(text));
  }
  RETURN_IF_ERROR(ReadSwitch(path, fields, "terminal", &allow.terminal));
  RETURN_IF_ERROR(ReadSwitch(path, fields, "stdin", &allow.standard_input));
  if (const YamlNode* users = fields.Find("users")) {
    ASSIGN_OR_RETURN(const std::vector<YamlNode>* uids, ReadSequence(path, *users, kUsersMax, false));
    for (const YamlNode& uid : *uids) {
      ASSIGN_OR_RETURN(const int64_t number, ReadInteger(path, uid, 0, 0xFFFFFFFE));
      allow.users.push_back(static_cast<uint32_t>(number));
    }
  }
  return allow;
}

Result<ExecRules> ParseExec(const std::string& path, const YamlNode& node) {
  static constexpr std::string_view kKnown[] = {"default", "allow"};
  ASSIGN_OR_RETURN(const Fields fields, Fields::Of(path, node, "exec", kKnown));
  ExecRules rules;
  if (const YamlNode* action = fields.Find("default")) {
    ASSIGN_OR_RETURN(rules.default_action, ParseAction(path, *action));
  }
  const YamlNode* allow = fields.Find("allow");
  if (allow == nullptr) return rules;
  if (rules.default_action == Action::kAllow) {
    return YamlError(path, *allow, "exec.allow has no effect with default: allow; leave one of them out");
  }
  ASSIGN_OR_RETURN(const std::vector<YamlNode>* entries, ReadSequence(path, *allow, kExecEntriesMax, true));
  for (const YamlNode& entry : *entries) {
    ASSIGN_OR_RETURN(ExecAllow parsed, ParseExecAllow(path, entry));
    rules.allow.push_back(std::move(parsed));
  }
  return rules;
}

Status ParseRequire(const std::string& path, const YamlNode& node, const Authorities& authorities, Rule* rule) {
  static constexpr std::string_view kKnown[] = {"signatures", "scan"};
  ASSIGN_OR_RETURN(const Fields fields, Fields::Of(path, node, "require", kKnown));
  if (const YamlNode* signatures = fields.Find("signatures")) {
    ASSIGN_OR_RETURN(rule->signatures, ParseSignatures(path, *signatures, authorities));
  }
  if (const YamlNode* scan = fields.Find("scan")) {
    ASSIGN_OR_RETURN(rule->scan, ParseScan(path, *scan));
  }
  return base::OkStatus();
}

}  // namespace

Result<Action> ParseAction(const std::string& path, const YamlNode& node) {
  static constexpr std::string_view kWords[] = {"deny", "allow"};
  ASSIGN_OR_RETURN(const size_t word, ReadWord(path, node, kWords));
  return word == 0 ? Action::kDeny : Action::kAllow;
}

Result<Mode> ParseMode(const std::string& path, const YamlNode& node) {
  static constexpr std::string_view kWords[] = {"enforce", "audit"};
  ASSIGN_OR_RETURN(const size_t word, ReadWord(path, node, kWords));
  return word == 0 ? Mode::kEnforce : Mode::kAudit;
}

Result<Rule> ParseRule(const std::string& path, const YamlNode& node, const Authorities& authorities,
                       const Defaults& defaults) {
  static constexpr std::string_view kKnown[] = {"name", "match", "action", "mode", "require", "profile", "exec"};
  ASSIGN_OR_RETURN(const Fields fields, Fields::Of(path, node, "rule", kKnown));
  Rule rule;
  rule.file = path;
  rule.line = node.line;
  rule.column = node.column;
  rule.mode = defaults.mode;
  ASSIGN_OR_RETURN(const YamlNode* name, fields.Require("name"));
  ASSIGN_OR_RETURN(rule.name, ReadName(path, *name));
  ASSIGN_OR_RETURN(const YamlNode* match, fields.Require("match"));
  ASSIGN_OR_RETURN(rule.match, ParseMatch(path, *match));
  if (const YamlNode* action = fields.Find("action")) {
    ASSIGN_OR_RETURN(rule.action, ParseAction(path, *action));
  }
  if (const YamlNode* mode = fields.Find("mode")) {
    ASSIGN_OR_RETURN(rule.mode, ParseMode(path, *mode));
  }
  for (const std::string_view key : {"require", "profile", "exec"}) {
    const YamlNode* block = fields.Find(key);
    if (block != nullptr && rule.action == Action::kDeny) {
      return YamlError(path, *block, "{} has no effect with action: deny; leave one of them out", key);
    }
  }
  if (const YamlNode* require = fields.Find("require")) {
    RETURN_IF_ERROR(ParseRequire(path, *require, authorities, &rule));
  }
  if (const YamlNode* profile = fields.Find("profile")) {
    ASSIGN_OR_RETURN(rule.profile, ParseProfile(path, *profile));
  }
  if (const YamlNode* exec = fields.Find("exec")) {
    ASSIGN_OR_RETURN(rule.exec, ParseExec(path, *exec));
  }
  return rule;
}

}  // namespace bulwark::policy
