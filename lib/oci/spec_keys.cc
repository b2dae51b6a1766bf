#include "lib/oci/spec_keys.h"

namespace bulwark::oci {

using base::Code;
using base::Error;
using Keys = std::vector<std::string_view>;

namespace {

// Field names of runtime-spec 1.1 (config.md, config-linux.md), per part. Parts with a map of strings are left out.
const Keys kSpecKeys = {"ociVersion", "process", "root",        "hostname", "domainname", "mounts",
                        "hooks",      "linux",   "annotations", "solaris",  "windows",    "vm"};
const Keys kProcessKeys = {"terminal",    "consoleSize",     "user",         "args",
                           "commandLine", "env",             "cwd",          "capabilities",
                           "rlimits",     "noNewPrivileges", "apparmorProfile", "oomScoreAdj",
                           "selinuxLabel", "scheduler",      "ioPriority"};
const Keys kCapabilityKeys = {"bounding", "effective", "inheritable", "permitted", "ambient"};
const Keys kUserKeys = {"uid", "gid", "umask", "additionalGids", "username"};
const Keys kRlimitKeys = {"type", "hard", "soft"};
const Keys kRootKeys = {"path", "readonly"};
const Keys kMountKeys = {"destination", "type", "source", "options", "uidMappings", "gidMappings"};
const Keys kLinuxKeys = {"uidMappings", "gidMappings",   "sysctl",          "resources",
                         "cgroupsPath", "namespaces",    "devices",         "seccomp",
                         "rootfsPropagation", "maskedPaths", "readonlyPaths", "mountLabel",
                         "intelRdt",    "personality",   "timeOffsets"};
const Keys kNamespaceKeys = {"type", "path"};
const Keys kDeviceKeys = {"path", "type", "major", "minor", "fileMode", "uid", "gid"};
const Keys kDeviceRuleKeys = {"allow", "type", "major", "minor", "access"};
const Keys kResourceKeys = {"devices", "memory", "cpu", "pids", "blockIO", "hugepageLimits",
                            "network", "rdma", "unified"};
const Keys kSeccompKeys = {"defaultAction", "defaultErrnoRet",  "architectures", "flags",
                           "listenerPath",  "listenerMetadata", "syscalls"};
const Keys kSyscallKeys = {"names", "action", "errnoRet", "args"};
const Keys kSyscallArgKeys = {"index", "value", "valueTwo", "op"};

base::Status CheckObject(JsonValue value, const Keys& keys, std::string_view where) {
  if (value.IsNull()) return base::OkStatus();
  if (!value.IsObject()) {
    return Error::Make(Code::kInvalidArgument, "runtime spec {} is no object but {}", where,
                       value.TypeName());
  }
  return RefuseCaseVariants(value, keys, where);
}

base::Status CheckArray(JsonValue value, const Keys& keys, std::string_view where) {
  if (value.IsNull()) return base::OkStatus();
  if (!value.IsArray()) {
    return Error::Make(Code::kInvalidArgument, "runtime spec {} is no array but {}", where,
                       value.TypeName());
  }
  for (size_t i = 0; i < value.size(); ++i) {
    RETURN_IF_ERROR(CheckObject(value.at(i), keys, where));
  }
  return base::OkStatus();
}

base::Status CheckSeccompKeys(JsonValue seccomp) {
  RETURN_IF_ERROR(CheckObject(seccomp, kSeccompKeys, "linux.seccomp"));
  const JsonValue syscalls = seccomp.Find("syscalls");
  RETURN_IF_ERROR(CheckArray(syscalls, kSyscallKeys, "linux.seccomp.syscalls"));
  for (size_t i = 0; i < syscalls.size(); ++i) {
    RETURN_IF_ERROR(CheckArray(syscalls.at(i).Find("args"), kSyscallArgKeys,
                               "linux.seccomp.syscalls.args"));
  }
  return base::OkStatus();
}

base::Status CheckLinuxKeys(JsonValue linux_part) {
  RETURN_IF_ERROR(CheckObject(linux_part, kLinuxKeys, "linux"));
  RETURN_IF_ERROR(CheckArray(linux_part.Find("namespaces"), kNamespaceKeys, "linux.namespaces"));
  RETURN_IF_ERROR(CheckArray(linux_part.Find("devices"), kDeviceKeys, "linux.devices"));
  const JsonValue resources = linux_part.Find("resources");
  RETURN_IF_ERROR(CheckObject(resources, kResourceKeys, "linux.resources"));
  RETURN_IF_ERROR(
      CheckArray(resources.Find("devices"), kDeviceRuleKeys, "linux.resources.devices"));
  return CheckSeccompKeys(linux_part.Find("seccomp"));
}

}  // namespace

base::Status CheckProcessKeys(JsonValue process) {
  if (!process.IsObject()) {
    return Error(Code::kInvalidArgument, "runtime spec process is no object");
  }
  RETURN_IF_ERROR(CheckObject(process, kProcessKeys, "process"));
  RETURN_IF_ERROR(
      CheckObject(process.Find("capabilities"), kCapabilityKeys, "process.capabilities"));
  RETURN_IF_ERROR(CheckObject(process.Find("user"), kUserKeys, "process.user"));
  return CheckArray(process.Find("rlimits"), kRlimitKeys, "process.rlimits");
}

base::Status CheckSpecKeys(JsonValue spec) {
  if (!spec.IsObject()) return Error(Code::kInvalidArgument, "runtime spec is no object");
  RETURN_IF_ERROR(CheckObject(spec, kSpecKeys, "top level"));
  const JsonValue process = spec.Find("process");
  if (!process.IsNull()) RETURN_IF_ERROR(CheckProcessKeys(process));
  RETURN_IF_ERROR(CheckObject(spec.Find("root"), kRootKeys, "root"));
  RETURN_IF_ERROR(CheckArray(spec.Find("mounts"), kMountKeys, "mounts"));
  RETURN_IF_ERROR(CheckObject(spec.Find("annotations"), {}, "annotations"));
  return CheckLinuxKeys(spec.Find("linux"));
}

}  // namespace bulwark::oci
