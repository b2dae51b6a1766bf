#include "lib/oci/runtime_spec.h"

#include <nlohmann/json.hpp>

#include "lib/oci/spec_keys.h"

namespace bulwark::oci {

using base::Code;
using base::Error;
using base::Result;
using Json = nlohmann::ordered_json;

namespace {

template <typename T>
Result<T> InContext(std::string_view what, Result<T> result) {
  if (!result.has_value()) return std::move(result).error().Wrap("runtime spec {}", what);
  return result;
}

Result<std::optional<int64_t>> OptionalInt64(JsonValue object, std::string_view key) {
  if (object.Find(key).IsNull()) return std::optional<int64_t>();
  ASSIGN_OR_RETURN(const int64_t value, object.GetInt64(key));
  return std::optional<int64_t>(value);
}

// Applies `read` to every element of an array that may be absent.
template <typename T, typename Read>
Result<std::vector<T>> ReadEach(JsonValue parent, std::string_view key, Read read) {
  ASSIGN_OR_RETURN(const JsonValue array, parent.GetArrayOr(key));
  std::vector<T> values;
  values.reserve(array.size());
  for (size_t i = 0; i < array.size(); ++i) {
    Result<T> value = read(array.at(i));
    if (!value.has_value()) return std::move(value).error().Wrap("{}[{}]", key, i);
    values.push_back(std::move(*value));
  }
  return values;
}

Result<Rlimit> ReadRlimit(JsonValue json) {
  Rlimit rlimit;
  ASSIGN_OR_RETURN(rlimit.type, json.GetString("type"));
  ASSIGN_OR_RETURN(rlimit.hard, json.GetUint64("hard"));
  ASSIGN_OR_RETURN(rlimit.soft, json.GetUint64("soft"));
  return rlimit;
}

Result<SpecMount> ReadMount(JsonValue json) {
  SpecMount mount;
  ASSIGN_OR_RETURN(mount.destination, json.GetString("destination"));
  ASSIGN_OR_RETURN(mount.type, json.GetStringOr("type", ""));
  ASSIGN_OR_RETURN(mount.source, json.GetStringOr("source", ""));
  ASSIGN_OR_RETURN(mount.options, json.GetStringArrayOr("options"));
  return mount;
}

Result<LinuxNamespace> ReadNamespace(JsonValue json) {
  LinuxNamespace space;
  ASSIGN_OR_RETURN(space.type, json.GetString("type"));
  ASSIGN_OR_RETURN(space.path, json.GetStringOr("path", ""));
  return space;
}

Result<SpecDevice> ReadDevice(JsonValue json) {
  SpecDevice device;
  ASSIGN_OR_RETURN(device.path, json.GetString("path"));
  ASSIGN_OR_RETURN(device.type, json.GetString("type"));
  ASSIGN_OR_RETURN(device.major, json.GetInt64Or("major", 0));
  ASSIGN_OR_RETURN(device.minor, json.GetInt64Or("minor", 0));
  return device;
}

Result<DeviceRule> ReadDeviceRule(JsonValue json) {
  DeviceRule rule;
  ASSIGN_OR_RETURN(rule.allow, json.GetBoolOr("allow", false));
  ASSIGN_OR_RETURN(rule.type, json.GetStringOr("type", ""));
  ASSIGN_OR_RETURN(rule.major, OptionalInt64(json, "major"));
  ASSIGN_OR_RETURN(rule.minor, OptionalInt64(json, "minor"));
  ASSIGN_OR_RETURN(rule.access, json.GetStringOr("access", ""));
  return rule;
}

// Replaces or removes a string member; empty and absent mean the same in the spec.
void SetOrErase(Json& object, const char* key, const std::string& value) {
  if (value.empty()) {
    object.erase(key);
  } else {
    object[key] = value;
  }
}

}  // namespace

Result<std::vector<std::string>> ProcessSpec::Args() const {
  return InContext("process", JsonValue(process_).GetStringArrayOr("args"));
}

Result<std::vector<std::string>> ProcessSpec::Env() const {
  return InContext("process", JsonValue(process_).GetStringArrayOr("env"));
}

Result<std::string> ProcessSpec::Cwd() const {
  return InContext("process", JsonValue(process_).GetStringOr("cwd", ""));
}

Result<bool> ProcessSpec::Terminal() const {
  return InContext("process", JsonValue(process_).GetBoolOr("terminal", false));
}

Result<ProcessUser> ProcessSpec::User() const {
  ProcessUser user;
  ASSIGN_OR_RETURN(const JsonValue json,
                   InContext("process", JsonValue(process_).GetObjectOr("user")));
  ASSIGN_OR_RETURN(user.uid, InContext("process.user", json.GetInt64Or("uid", 0)));
  ASSIGN_OR_RETURN(user.gid, InContext("process.user", json.GetInt64Or("gid", 0)));
  ASSIGN_OR_RETURN(user.additional_gids,
                   InContext("process.user", ReadEach<int64_t>(json, "additionalGids", [](JsonValue gid) {
                               return gid.AsInt64();
                             })));
  return user;
}

Result<bool> ProcessSpec::NoNewPrivileges() const {
  return InContext("process", JsonValue(process_).GetBoolOr("noNewPrivileges", false));
}

Result<std::string> ProcessSpec::ApparmorProfile() const {
  return InContext("process", JsonValue(process_).GetStringOr("apparmorProfile", ""));
}

Result<std::string> ProcessSpec::SelinuxLabel() const {
  return InContext("process", JsonValue(process_).GetStringOr("selinuxLabel", ""));
}

Result<std::optional<int64_t>> ProcessSpec::OomScoreAdj() const {
  return InContext("process", OptionalInt64(JsonValue(process_), "oomScoreAdj"));
}

Result<std::vector<Rlimit>> ProcessSpec::Rlimits() const {
  return InContext("process", ReadEach<Rlimit>(JsonValue(process_), "rlimits", ReadRlimit));
}

Result<std::optional<CapabilitySets>> ProcessSpec::Capabilities() const {
  ASSIGN_OR_RETURN(const JsonValue json,
                   InContext("process", JsonValue(process_).GetObjectOr("capabilities")));
  if (json.IsNull()) return std::optional<CapabilitySets>();
  CapabilitySets sets;
  constexpr std::string_view kWhere = "process.capabilities";
  ASSIGN_OR_RETURN(sets.bounding, InContext(kWhere, json.GetStringArrayOr("bounding")));
  ASSIGN_OR_RETURN(sets.effective, InContext(kWhere, json.GetStringArrayOr("effective")));
  ASSIGN_OR_RETURN(sets.inheritable, InContext(kWhere, json.GetStringArrayOr("inheritable")));
  ASSIGN_OR_RETURN(sets.permitted, InContext(kWhere, json.GetStringArrayOr("permitted")));
  ASSIGN_OR_RETURN(sets.ambient, InContext(kWhere, json.GetStringArrayOr("ambient")));
  return std::optional<CapabilitySets>(std::move(sets));
}

void ProcessSpec::SetNoNewPrivileges(bool value) { (*process_)["noNewPrivileges"] = value; }

void ProcessSpec::SetApparmorProfile(const std::string& value) {
  SetOrErase(*process_, "apparmorProfile", value);
}

void ProcessSpec::SetSelinuxLabel(const std::string& value) {
  SetOrErase(*process_, "selinuxLabel", value);
}

void ProcessSpec::SetOomScoreAdj(std::optional<int64_t> value) {
  if (value.has_value()) {
    (*process_)["oomScoreAdj"] = *value;
  } else {
    process_->erase("oomScoreAdj");
  }
}

void ProcessSpec::SetRlimits(const std::vector<Rlimit>& rlimits) {
  Json array = Json::array();
  for (const Rlimit& rlimit : rlimits) {
    Json entry = Json::object();
    entry["type"] = rlimit.type;
    entry["hard"] = rlimit.hard;
    entry["soft"] = rlimit.soft;
    array.push_back(std::move(entry));
  }
  (*process_)["rlimits"] = std::move(array);
}

void ProcessSpec::SetCapabilities(const CapabilitySets& sets) {
  Json& json = (*process_)["capabilities"];
  if (!json.is_object()) json = Json::object();
  json["bounding"] = sets.bounding;
  json["effective"] = sets.effective;
  json["inheritable"] = sets.inheritable;
  json["permitted"] = sets.permitted;
  json["ambient"] = sets.ambient;
}

std::string ProcessSpec::Dump() const { return JsonValue(process_).Dump(); }

Result<RuntimeSpec> RuntimeSpec::Parse(std::string_view text, const JsonLimits& limits) {
  ASSIGN_OR_RETURN(JsonDocument document, InContext("", JsonDocument::Parse(text, limits)));
  RETURN_IF_ERROR(CheckSpecKeys(document.root()));
  return RuntimeSpec(std::move(document), false);
}

Result<RuntimeSpec> RuntimeSpec::ParseProcess(std::string_view text, const JsonLimits& limits) {
  ASSIGN_OR_RETURN(JsonDocument document, InContext("process", JsonDocument::Parse(text, limits)));
  RETURN_IF_ERROR(CheckProcessKeys(document.root()));
  return RuntimeSpec(std::move(document), true);
}

bool RuntimeSpec::HasProcess() const {
  return process_only_ || root().Find("process").IsObject();
}

ProcessSpec RuntimeSpec::Process() {
  BULWARK_CHECK(HasProcess());
  return ProcessSpec(process_only_ ? &document_.json() : &document_.json()["process"]);
}

Result<std::string> RuntimeSpec::RootPath() const {
  return InContext("root", root().Find("root").GetStringOr("path", ""));
}

Result<bool> RuntimeSpec::RootReadonly() const {
  return InContext("root", root().Find("root").GetBoolOr("readonly", false));
}

Result<std::string> RuntimeSpec::Hostname() const {
  return InContext("hostname", root().GetStringOr("hostname", ""));
}

Result<std::string> RuntimeSpec::CgroupsPath() const {
  return InContext("linux", root().Find("linux").GetStringOr("cgroupsPath", ""));
}

Result<std::vector<std::pair<std::string, std::string>>> RuntimeSpec::Annotations() const {
  return InContext("annotations", root().GetStringMapOr("annotations"));
}

Result<std::vector<SpecMount>> RuntimeSpec::Mounts() const {
  return InContext("mounts", ReadEach<SpecMount>(root(), "mounts", ReadMount));
}

Result<std::vector<LinuxNamespace>> RuntimeSpec::Namespaces() const {
  return InContext("linux",
                   ReadEach<LinuxNamespace>(root().Find("linux"), "namespaces", ReadNamespace));
}

Result<std::vector<SpecDevice>> RuntimeSpec::Devices() const {
  return InContext("linux", ReadEach<SpecDevice>(root().Find("linux"), "devices", ReadDevice));
}

Result<std::vector<DeviceRule>> RuntimeSpec::DeviceRules() const {
  return InContext("linux.resources", ReadEach<DeviceRule>(root().FindPath("linux.resources"),
                                                           "devices", ReadDeviceRule));
}

Result<std::vector<std::string>> RuntimeSpec::MaskedPaths() const {
  return InContext("linux", root().Find("linux").GetStringArrayOr("maskedPaths"));
}

Result<std::vector<std::string>> RuntimeSpec::ReadonlyPaths() const {
  return InContext("linux", root().Find("linux").GetStringArrayOr("readonlyPaths"));
}

bool RuntimeSpec::HasHooks() const {
  const JsonValue hooks = root().Find("hooks");
  for (size_t i = 0; i < hooks.size(); ++i) {
    if (hooks.at(i).size() > 0) return true;
  }
  return false;
}

std::optional<std::string> RuntimeSpec::SeccompJson() const {
  const JsonValue seccomp = root().FindPath("linux.seccomp");
  if (seccomp.IsNull()) return std::nullopt;
  return seccomp.Dump();
}

Json& RuntimeSpec::Member(const char* key) {
  Json& json = document_.json()[key];
  if (!json.is_object()) json = Json::object();
  return json;
}

void RuntimeSpec::SetRootReadonly(bool value) { Member("root")["readonly"] = value; }

void RuntimeSpec::SetMaskedPaths(const std::vector<std::string>& paths) {
  Member("linux")["maskedPaths"] = paths;
}

void RuntimeSpec::SetReadonlyPaths(const std::vector<std::string>& paths) {
  Member("linux")["readonlyPaths"] = paths;
}

void RuntimeSpec::PrependDenyAllDevices() {
  Json& resources = Member("linux")["resources"];
  if (!resources.is_object()) resources = Json::object();
  Json& devices = resources["devices"];
  if (!devices.is_array()) devices = Json::array();
  Json rule = Json::object();
  rule["allow"] = false;
  rule["access"] = "rwm";
  devices.insert(devices.begin(), std::move(rule));
}

void RuntimeSpec::RemoveAnnotation(const std::string& key) { Member("annotations").erase(key); }

base::Status RuntimeSpec::SetSeccompJson(std::string_view json) {
  ASSIGN_OR_RETURN(JsonDocument profile, JsonDocument::Parse(json));
  if (!profile.root().IsObject()) {
    return Error(Code::kInvalidArgument, "seccomp profile is no JSON object");
  }
  Member("linux")["seccomp"] = std::move(profile.json());
  return base::OkStatus();
}

}  // namespace bulwark::oci
