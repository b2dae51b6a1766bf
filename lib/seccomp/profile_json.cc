#include "lib/seccomp/profile_json.h"

#include <errno.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/oci/manifest.h"

namespace bulwark::seccomp {

using base::Code;
using base::Error;
using base::Result;
using oci::JsonValue;
using Json = nlohmann::ordered_json;

namespace {

constexpr size_t kNamesMax = 20'000;
constexpr size_t kRulesMax = 4096;
constexpr oci::JsonLimits kLimits = {1u << 20, 16, 100'000};

bool Contains(const std::vector<std::string>& list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

Result<CompareOp> ParseCompareOp(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(CompareOp::kMaskedEqual); ++i) {
    const auto op = static_cast<CompareOp>(i);
    if (CompareOpName(op) == name) return op;
  }
  return Error::Make(Code::kInvalidArgument, "unknown operator \"{}\"", name.substr(0, 80));
}

// The errno names that profiles in the wild use.
Result<uint32_t> ParseErrnoName(std::string_view name) {
  if (name == "EPERM") return uint32_t{EPERM};
  if (name == "EACCES") return uint32_t{EACCES};
  if (name == "ENOSYS") return uint32_t{ENOSYS};
  if (name == "EINVAL") return uint32_t{EINVAL};
  if (name == "ENOENT") return uint32_t{ENOENT};
  if (name == "EAGAIN") return uint32_t{EAGAIN};
  if (name == "ENOTSUP" || name == "EOPNOTSUPP") return uint32_t{EOPNOTSUPP};
  if (name == "EAFNOSUPPORT") return uint32_t{EAFNOSUPPORT};
  return Error::Make(Code::kInvalidArgument, "unknown errno \"{}\"", name.substr(0, 80));
}

// An action with its number: from errnoRet, else from the errno name, else EPERM, as the runtimes do.
Result<Outcome> ParseOutcome(JsonValue json, std::string_view action_key,
                             std::string_view number_key, std::string_view name_key) {
  Outcome outcome;
  ASSIGN_OR_RETURN(const std::string action, json.GetString(action_key));
  ASSIGN_OR_RETURN(outcome.action, ParseAction(action));
  ASSIGN_OR_RETURN(const std::string errno_name, json.GetStringOr(name_key, ""));
  uint32_t fallback = EPERM;
  if (!errno_name.empty()) {
    ASSIGN_OR_RETURN(fallback, ParseErrnoName(errno_name));
  }
  ASSIGN_OR_RETURN(const uint64_t number, json.GetUint64Or(number_key, fallback));
  if (number > UINT16_MAX) {  // SECCOMP_RET_DATA has 16 bits
    return Error::Make(Code::kInvalidArgument, "{} {} is out of range", number_key, number);
  }
  const bool has_value = outcome.action == Action::kErrno || outcome.action == Action::kTrace;
  outcome.value = has_value ? static_cast<uint32_t>(number) : 0;
  return outcome;
}

Result<ArgCondition> ParseCondition(JsonValue json) {
  ArgCondition condition;
  ASSIGN_OR_RETURN(const uint64_t index, json.GetUint64("index"));
  if (index > 5) return Error::Make(Code::kInvalidArgument, "argument index {}", index);
  condition.index = static_cast<uint32_t>(index);
  ASSIGN_OR_RETURN(condition.value, json.GetUint64Or("value", 0));
  ASSIGN_OR_RETURN(condition.value_two, json.GetUint64Or("valueTwo", 0));
  ASSIGN_OR_RETURN(const std::string op, json.GetString("op"));
  ASSIGN_OR_RETURN(condition.op, ParseCompareOp(op));
  if (condition.op != CompareOp::kMaskedEqual) condition.value_two = 0;
  return condition;
}

bool IsKernelAtLeast(const ProfileContext& context, std::string_view wanted) {
  const size_t dot = wanted.find('.');
  const auto number = [](std::string_view text) {
    uint32_t value = 0;
    for (const char c : text.substr(0, 6)) {
      if (c < '0' || c > '9') break;
      value = value * 10 + static_cast<uint32_t>(c - '0');
    }
    return value;
  };
  const uint32_t major = number(wanted.substr(0, dot));
  const uint32_t minor = dot == std::string_view::npos ? 0 : number(wanted.substr(dot + 1));
  return std::pair(context.kernel_major, context.kernel_minor) >= std::pair(major, minor);
}

// A Docker entry's filter: included if every part named in `includes` fits (all of its capabilities, one of its
// architectures), excluded if any part of `excludes` does (moby, profiles/seccomp/seccomp_linux.go).
Result<bool> IsIncluded(JsonValue entry, const ProfileContext& context) {
  ASSIGN_OR_RETURN(const JsonValue includes, entry.GetObjectOr("includes"));
  ASSIGN_OR_RETURN(const auto caps_in, includes.GetStringArrayOr("caps"));
  ASSIGN_OR_RETURN(const auto arches_in, includes.GetStringArrayOr("arches"));
  ASSIGN_OR_RETURN(const std::string kernel_in, includes.GetStringOr("minKernel", ""));
  for (const std::string& cap : caps_in) {
    if (!Contains(context.capabilities, cap)) return false;
  }
  if (!arches_in.empty() && !Contains(arches_in, context.architecture)) return false;
  if (!kernel_in.empty() && !IsKernelAtLeast(context, kernel_in)) return false;
  ASSIGN_OR_RETURN(const JsonValue excludes, entry.GetObjectOr("excludes"));
  ASSIGN_OR_RETURN(const auto caps_out, excludes.GetStringArrayOr("caps"));
  ASSIGN_OR_RETURN(const auto arches_out, excludes.GetStringArrayOr("arches"));
  ASSIGN_OR_RETURN(const std::string kernel_out, excludes.GetStringOr("minKernel", ""));
  for (const std::string& cap : caps_out) {
    if (Contains(context.capabilities, cap)) return false;
  }
  if (Contains(arches_out, context.architecture)) return false;
  return kernel_out.empty() || !IsKernelAtLeast(context, kernel_out);
}

Result<Rule> ParseRule(JsonValue json) {
  RETURN_IF_ERROR(oci::RefuseCaseVariants(
      json, {"names", "name", "action", "errnoRet", "errno", "args", "includes", "excludes"},
      "syscall entry"));
  Rule rule;
  ASSIGN_OR_RETURN(rule.names, json.GetStringArrayOr("names"));
  ASSIGN_OR_RETURN(const std::string name, json.GetStringOr("name", ""));
  if (!name.empty()) rule.names.push_back(name);
  if (rule.names.empty()) return Error(Code::kInvalidArgument, "no names");
  for (const std::string& each : rule.names) {
    if (each.empty() || each.size() > 64) return Error(Code::kInvalidArgument, "malformed name");
  }
  ASSIGN_OR_RETURN(rule.outcome, ParseOutcome(json, "action", "errnoRet", "errno"));
  ASSIGN_OR_RETURN(const JsonValue args, json.GetArrayOr("args"));
  if (args.size() > 64) return Error::Make(Code::kResourceExhausted, "{} args", args.size());
  for (size_t i = 0; i < args.size(); ++i) {
    ASSIGN_OR_RETURN(const ArgCondition condition, ParseCondition(args.at(i)));
    rule.args.push_back(condition);
  }
  return rule;
}

Result<std::vector<std::string>> ParseArchitectures(JsonValue root) {
  ASSIGN_OR_RETURN(auto architectures, root.GetStringArrayOr("architectures"));
  ASSIGN_OR_RETURN(const JsonValue map, root.GetArrayOr("archMap"));
  for (size_t i = 0; i < map.size(); ++i) {
    ASSIGN_OR_RETURN(const std::string architecture, map.at(i).GetString("architecture"));
    if (architecture != NativeArchitecture()) continue;
    ASSIGN_OR_RETURN(const auto more, map.at(i).GetStringArrayOr("subArchitectures"));
    architectures.push_back(architecture);
    architectures.insert(architectures.end(), more.begin(), more.end());
  }
  if (architectures.size() > 32) return Error(Code::kResourceExhausted, "more than 32 architectures");
  return architectures;
}

Result<std::vector<Rule>> ParseRules(JsonValue root, const ProfileContext& context) {
  std::vector<Rule> rules;
  ASSIGN_OR_RETURN(const JsonValue entries, root.GetArrayOr("syscalls"));
  if (entries.size() > kRulesMax) {
    return Error::Make(Code::kResourceExhausted, "{} syscall entries", entries.size());
  }
  size_t names = 0;
  for (size_t i = 0; i < entries.size(); ++i) {
    auto rule = ParseRule(entries.at(i));
    if (!rule.has_value()) return std::move(rule).error().Wrap("syscalls[{}]", i);
    names += rule->names.size();
    if (names > kNamesMax) return Error(Code::kResourceExhausted, "too many syscall names");
    ASSIGN_OR_RETURN(const bool is_included, IsIncluded(entries.at(i), context));
    if (is_included) rules.push_back(std::move(*rule));
  }
  return rules;
}

Result<Profile> ProfileFrom(JsonValue root, ProfileContext context) {
  if (!root.IsObject()) return Error(Code::kInvalidArgument, "is no JSON object");
  if (context.architecture.empty()) context.architecture = oci::HostPlatform().architecture;
  RETURN_IF_ERROR(oci::RefuseCaseVariants(
      root,
      {"defaultAction", "defaultErrnoRet", "defaultErrno", "architectures", "archMap", "flags",
       "listenerPath", "listenerMetadata", "syscalls"},
      "profile"));
  Profile profile;
  ASSIGN_OR_RETURN(profile.default_outcome,
                   ParseOutcome(root, "defaultAction", "defaultErrnoRet", "defaultErrno"));
  ASSIGN_OR_RETURN(profile.architectures, ParseArchitectures(root));
  ASSIGN_OR_RETURN(profile.flags, root.GetStringArrayOr("flags"));
  ASSIGN_OR_RETURN(profile.listener_path, root.GetStringOr("listenerPath", ""));
  ASSIGN_OR_RETURN(profile.listener_metadata, root.GetStringOr("listenerMetadata", ""));
  ASSIGN_OR_RETURN(profile.rules, ParseRules(root, context));
  return profile;
}

void PutOutcome(Json& json, const char* action_key, const char* number_key, const Outcome& outcome) {
  json[action_key] = ActionName(outcome.action);
  if (outcome.action == Action::kErrno || outcome.action == Action::kTrace) {
    json[number_key] = outcome.value;
  }
}

Json PrintRule(const Rule& rule) {
  Json json = Json::object();
  json["names"] = rule.names;
  PutOutcome(json, "action", "errnoRet", rule.outcome);
  if (rule.args.empty()) return json;
  Json args = Json::array();
  for (const ArgCondition& condition : rule.args) {
    Json arg = Json::object();
    arg["index"] = condition.index;
    arg["value"] = condition.value;
    if (condition.op == CompareOp::kMaskedEqual) arg["valueTwo"] = condition.value_two;
    arg["op"] = CompareOpName(condition.op);
    args.push_back(std::move(arg));
  }
  json["args"] = std::move(args);
  return json;
}

}  // namespace

Result<Profile> ParseProfile(JsonValue json, const ProfileContext& context) {
  auto profile = ProfileFrom(json, context);
  if (!profile.has_value()) return std::move(profile).error().Wrap("parsing seccomp profile");
  return profile;
}

Result<Profile> ParseProfile(std::string_view json, const ProfileContext& context) {
  auto document = oci::JsonDocument::Parse(json, kLimits);
  if (!document.has_value()) return std::move(document).error().Wrap("parsing seccomp profile");
  return ParseProfile(document->root(), context);
}

std::string PrintProfile(const Profile& profile) {
  Json json = Json::object();
  PutOutcome(json, "defaultAction", "defaultErrnoRet", profile.default_outcome);
  if (!profile.architectures.empty()) json["architectures"] = profile.architectures;
  if (!profile.flags.empty()) json["flags"] = profile.flags;
  if (!profile.listener_path.empty()) json["listenerPath"] = profile.listener_path;
  if (!profile.listener_metadata.empty()) json["listenerMetadata"] = profile.listener_metadata;
  json["syscalls"] = Json::array();
  for (const Rule& rule : profile.rules) json["syscalls"].push_back(PrintRule(rule));
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace bulwark::seccomp
