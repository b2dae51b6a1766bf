// Typed access to an OCI runtime spec (runtime-spec 1.1: config.md, config-linux.md), for what is judged and edited
// here; every other field stays as it came. Values are read when asked for, so that a wrong type is an error of the
// getter. A key that differs only by case from one of the spec's own is refused at Parse(): Go would read it as that
// field, and runc would then see another document than we do.
//
// RuntimeSpec owns its document; ProcessSpec points into one and is valid while it lives. No locking.
#pragma once

#include <stdint.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/result.h"
#include "lib/oci/json_document.h"

namespace bulwark::oci {

// The five sets of process.capabilities (capabilities(7)), names as "CAP_CHOWN".
struct CapabilitySets {
  std::vector<std::string> bounding, effective, inheritable, permitted, ambient;
};

struct ProcessUser {
  int64_t uid = 0;
  int64_t gid = 0;
  std::vector<int64_t> additional_gids;
};

struct Rlimit {
  std::string type;  // "RLIMIT_NOFILE"
  uint64_t hard = 0;
  uint64_t soft = 0;
};

struct LinuxNamespace {
  std::string type;  // "pid", "network", "ipc", "uts", "mount", "user", "cgroup", "time"
  std::string path;  // empty: a new one
};

struct SpecMount {
  std::string destination, type, source;
  std::vector<std::string> options;
};

struct SpecDevice {
  std::string path;
  std::string type;  // "c", "b", "u", "p"
  int64_t major = 0;
  int64_t minor = 0;
};

// A rule of linux.resources.devices. An absent number means all.
struct DeviceRule {
  bool allow = false;
  std::string type;  // "a" or empty: all
  std::optional<int64_t> major, minor;
  std::string access;
};

// The "process" object, of a container or of an exec. Errors of the getters: kInvalidArgument for a wrong type.
class ProcessSpec {
 public:
  explicit ProcessSpec(nlohmann::ordered_json* process) : process_(process) {}

  base::Result<std::vector<std::string>> Args() const;
  base::Result<std::vector<std::string>> Env() const;  // "NAME=value": secrets; record the names only
  base::Result<std::string> Cwd() const;
  base::Result<bool> Terminal() const;
  base::Result<ProcessUser> User() const;
  base::Result<bool> NoNewPrivileges() const;
  base::Result<std::string> ApparmorProfile() const;
  base::Result<std::string> SelinuxLabel() const;
  base::Result<std::optional<int64_t>> OomScoreAdj() const;
  base::Result<std::vector<Rlimit>> Rlimits() const;
  // Absent when the process names no capabilities at all, which runc takes as none.
  base::Result<std::optional<CapabilitySets>> Capabilities() const;

  void SetNoNewPrivileges(bool value);
  void SetApparmorProfile(const std::string& value);  // empty removes
  void SetSelinuxLabel(const std::string& value);     // empty removes
  void SetOomScoreAdj(std::optional<int64_t> value);  // absent removes
  void SetRlimits(const std::vector<Rlimit>& rlimits);
  void SetCapabilities(const CapabilitySets& sets);

  std::string Dump() const;

 private:
  nlohmann::ordered_json* process_;  // an object
};

class RuntimeSpec {
 public:
  // kInvalidArgument unless it is an object whose known parts are objects and no key is a case variant.
  static base::Result<RuntimeSpec> Parse(std::string_view text, const JsonLimits& limits = {});
  // A process alone, as Task.Exec carries it; Process() is the whole document then.
  static base::Result<RuntimeSpec> ParseProcess(std::string_view text, const JsonLimits& limits = {});

  bool HasProcess() const;  // the spec's "process" is optional
  ProcessSpec Process();    // precondition: HasProcess()

  base::Result<std::string> RootPath() const;
  base::Result<bool> RootReadonly() const;
  base::Result<std::string> Hostname() const;
  base::Result<std::string> CgroupsPath() const;
  base::Result<std::vector<std::pair<std::string, std::string>>> Annotations() const;
  base::Result<std::vector<SpecMount>> Mounts() const;
  base::Result<std::vector<LinuxNamespace>> Namespaces() const;
  base::Result<std::vector<SpecDevice>> Devices() const;
  base::Result<std::vector<DeviceRule>> DeviceRules() const;
  base::Result<std::vector<std::string>> MaskedPaths() const;
  base::Result<std::vector<std::string>> ReadonlyPaths() const;
  bool HasHooks() const;  // of any stage, whatever its name
  // JSON text of linux.seccomp; absent if there is none.
  std::optional<std::string> SeccompJson() const;
  JsonValue root() const { return document_.root(); }

  void SetRootReadonly(bool value);
  void SetMaskedPaths(const std::vector<std::string>& paths);
  void SetReadonlyPaths(const std::vector<std::string>& paths);
  // Puts a rule that denies every access to every device before the others.
  void PrependDenyAllDevices();
  void RemoveAnnotation(const std::string& key);
  // kInvalidArgument if the text is no JSON object.
  base::Status SetSeccompJson(std::string_view json);

  std::string Dump() const { return document_.Dump(); }

 private:
  RuntimeSpec(JsonDocument document, bool process_only)
      : document_(std::move(document)), process_only_(process_only) {}
  nlohmann::ordered_json& Member(const char* key);  // the object of that name, made if absent

  JsonDocument document_;
  bool process_only_;
};

}  // namespace bulwark::oci
