#include "plugin/profiles/spec_hardening.h"

#include <algorithm>

#include "lib/oci/runtime_spec.h"
#include "lib/seccomp/profile_json.h"
#include "lib/seccomp/profile_merge.h"
#include "plugin/profiles/spec_limits.h"

namespace bulwark::profiles {

using base::Code;
using base::Error;
using base::Result;
using oci::RuntimeSpec;
using Changes = std::vector<std::string>;
using Names = std::vector<std::string>;

namespace {

// Enough for any image's environment and containerd's default profile, many times over.
constexpr oci::JsonLimits kSpecLimits = {4u << 20, 32, 100'000};

bool Contains(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Cuts one set to a bound and notes each name dropped once.
void Bound(Names& set, const Names& bound, Names& dropped) {
  Names kept;
  for (std::string& name : set) {
    if (Contains(bound, name)) {
      kept.push_back(std::move(name));
    } else if (!Contains(dropped, name)) {
      dropped.push_back(std::move(name));
    }
  }
  set = std::move(kept);
}

void NoteDropped(const Names& dropped, Changes& changes) {
  for (const std::string& name : dropped) changes.push_back("dropped " + name);
}

base::Status BoundCapabilities(oci::ProcessSpec process, const Names& bound, Changes& changes) {
  ASSIGN_OR_RETURN(auto sets, process.Capabilities());
  if (!sets.has_value()) return base::OkStatus();  // none at all
  Names dropped;
  for (Names* set : {&sets->bounding, &sets->effective, &sets->inheritable, &sets->permitted,
                     &sets->ambient}) {
    Bound(*set, bound, dropped);
  }
  if (dropped.empty()) return base::OkStatus();
  process.SetCapabilities(*sets);
  NoteDropped(dropped, changes);
  return base::OkStatus();
}

base::Status SetNoNewPrivileges(oci::ProcessSpec process, Changes& changes) {
  ASSIGN_OR_RETURN(const bool is_set, process.NoNewPrivileges());
  if (is_set) return base::OkStatus();
  process.SetNoNewPrivileges(true);
  changes.push_back("set noNewPrivileges");
  return base::OkStatus();
}

base::Status SetReadonlyRootfs(RuntimeSpec& spec, Changes& changes) {
  ASSIGN_OR_RETURN(const bool is_set, spec.RootReadonly());
  if (is_set) return base::OkStatus();
  spec.SetRootReadonly(true);
  changes.push_back("made the root filesystem read-only");
  return base::OkStatus();
}

// Adds what is missing; true if there was anything.
bool AddMissing(Names& paths, const Names& more, std::string_view verb, Changes& changes) {
  const size_t before = paths.size();
  for (const std::string& path : more) {
    if (Contains(paths, path)) continue;
    paths.push_back(path);
    changes.push_back(fmt::format("{} {}", verb, path));
  }
  return paths.size() > before;
}

// What containerd and CRI give every container that is not privileged (containerd, oci/spec.go, populateDefaultUnixSpec).
const Names kDefaultMaskedPaths = {"/proc/acpi",       "/proc/asound",      "/proc/kcore",       "/proc/keys",
                                   "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
                                   "/proc/scsi",       "/sys/firmware",     "/sys/devices/virtual/powercap"};
const Names kDefaultReadonlyPaths = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};

// A list that is empty is how a privileged spec looks, and one with procMount: Unmasked.
base::Status AddDefaultPaths(RuntimeSpec& spec, Changes& changes) {
  ASSIGN_OR_RETURN(const Names masked, spec.MaskedPaths());
  if (masked.empty()) {
    spec.SetMaskedPaths(kDefaultMaskedPaths);
    changes.push_back("masked the paths that runtimes mask by default");
  }
  ASSIGN_OR_RETURN(const Names readonly, spec.ReadonlyPaths());
  if (readonly.empty()) {
    spec.SetReadonlyPaths(kDefaultReadonlyPaths);
    changes.push_back("made the paths read-only that are so by default");
  }
  return base::OkStatus();
}

// Without it crun leaves what the parent cgroup allows (crun, cgroup-resources.c), on version 1 everything.
base::Status DenyDevicesFirst(RuntimeSpec& spec, Changes& changes) {
  ASSIGN_OR_RETURN(const auto rules, spec.DeviceRules());
  if (!rules.empty() && DeniesAll(rules.front())) return base::OkStatus();
  spec.PrependDenyAllDevices();
  changes.push_back("denied all devices that no rule allows");
  return base::OkStatus();
}

base::Status AddPaths(RuntimeSpec& spec, const HardeningRequest& request, Changes& changes) {
  ASSIGN_OR_RETURN(Names masked, spec.MaskedPaths());
  if (AddMissing(masked, request.masked_paths, "masked", changes)) spec.SetMaskedPaths(masked);
  ASSIGN_OR_RETURN(Names readonly, spec.ReadonlyPaths());
  if (AddMissing(readonly, request.readonly_paths, "made read-only", changes)) {
    spec.SetReadonlyPaths(readonly);
  }
  return base::OkStatus();
}

// crun takes handlers, hooks, mount behaviour and more from run.oci.* and module.wasm.*, runc and crun pass
// org.systemd.property.* on to systemd (DeviceAllow, say), CRIU takes its options from org.criu.*.
bool SteersTheRuntime(std::string_view key) {
  for (const std::string_view prefix : {"run.oci.", "module.wasm.", "org.systemd.property.", "org.criu."}) {
    if (key.starts_with(prefix)) return true;
  }
  return false;
}

base::Status StripAnnotations(RuntimeSpec& spec, Changes& changes) {
  ASSIGN_OR_RETURN(const auto annotations, spec.Annotations());
  for (const auto& [key, value] : annotations) {
    if (!SteersTheRuntime(key)) continue;
    spec.RemoveAnnotation(key);
    changes.push_back("removed annotation " + key.substr(0, 120));
  }
  return base::OkStatus();
}

base::Status ApplySeccomp(RuntimeSpec& spec, const HardeningRequest& request, Changes& changes) {
  const oci::JsonValue own = spec.root().FindPath("linux.seccomp");
  if (own.IsNull()) {
    RETURN_IF_ERROR(spec.SetSeccompJson(seccomp::PrintProfile(*request.seccomp)));
    changes.push_back(fmt::format("seccomp: profile {} (the pod has none)", request.seccomp_name));
    return base::OkStatus();
  }
  ASSIGN_OR_RETURN(const seccomp::Profile own_profile, seccomp::ParseProfile(own));
  ASSIGN_OR_RETURN(const seccomp::MergedProfile merged,
                   seccomp::Intersect(own_profile, *request.seccomp));
  RETURN_IF_ERROR(spec.SetSeccompJson(seccomp::PrintProfile(merged.profile)));
  changes.push_back(fmt::format("seccomp: the pod's profile within {}", request.seccomp_name));
  for (const std::string& name : merged.unmergeable) {
    changes.push_back("seccomp: refused " + name.substr(0, 64) + ", its conditions cannot be intersected");
  }
  for (const std::string& note : merged.notes) changes.push_back("seccomp: " + note);
  return base::OkStatus();
}

base::Status BoundProcess(RuntimeSpec& spec, const HardeningRequest& request, Changes& changes) {
  if (!spec.HasProcess()) return base::OkStatus();
  if (request.capabilities_max.has_value()) {
    RETURN_IF_ERROR(BoundCapabilities(spec.Process(), *request.capabilities_max, changes));
  }
  if (request.no_new_privileges) RETURN_IF_ERROR(SetNoNewPrivileges(spec.Process(), changes));
  return base::OkStatus();
}

// An exec's capabilities within the container's: what its processes could never have is not to be had by exec either.
base::Status BoundToContainer(oci::ProcessSpec process, const oci::ProcessSpec& container,
                              Changes& changes) {
  ASSIGN_OR_RETURN(auto sets, process.Capabilities());
  ASSIGN_OR_RETURN(auto limit, container.Capabilities());
  // runc gives an exec without capabilities those of the container (utils_linux.go, newProcess).
  if (!sets.has_value()) return base::OkStatus();
  const oci::CapabilitySets bound = limit.value_or(oci::CapabilitySets{});
  Names dropped;
  Bound(sets->bounding, bound.bounding, dropped);
  Bound(sets->effective, bound.bounding, dropped);
  Bound(sets->permitted, bound.bounding, dropped);
  Bound(sets->inheritable, bound.inheritable, dropped);
  Bound(sets->ambient, bound.ambient, dropped);
  if (dropped.empty()) return base::OkStatus();
  process.SetCapabilities(*sets);
  NoteDropped(dropped, changes);
  return base::OkStatus();
}

base::Status TakeLabels(oci::ProcessSpec process, const oci::ProcessSpec& container,
                        Changes& changes) {
  ASSIGN_OR_RETURN(const std::string apparmor, process.ApparmorProfile());
  ASSIGN_OR_RETURN(const std::string container_apparmor, container.ApparmorProfile());
  if (apparmor != container_apparmor) {
    process.SetApparmorProfile(container_apparmor);
    changes.push_back("set apparmorProfile to the container's");
  }
  ASSIGN_OR_RETURN(const std::string selinux, process.SelinuxLabel());
  ASSIGN_OR_RETURN(const std::string container_selinux, container.SelinuxLabel());
  if (selinux != container_selinux) {
    process.SetSelinuxLabel(container_selinux);
    changes.push_back("set selinuxLabel to the container's");
  }
  ASSIGN_OR_RETURN(const auto oom, process.OomScoreAdj());
  ASSIGN_OR_RETURN(const auto container_oom, container.OomScoreAdj());
  if (oom != container_oom) {
    process.SetOomScoreAdj(container_oom);
    changes.push_back("set oomScoreAdj to the container's");
  }
  return base::OkStatus();
}

// Limits of the container that the exec lacks are added: it would inherit the runtime's.
base::Status BoundRlimits(oci::ProcessSpec process, const oci::ProcessSpec& container,
                          Changes& changes) {
  ASSIGN_OR_RETURN(std::vector<oci::Rlimit> rlimits, process.Rlimits());
  ASSIGN_OR_RETURN(const std::vector<oci::Rlimit> bounds, container.Rlimits());
  const size_t changes_before = changes.size();
  for (const oci::Rlimit& bound : bounds) {
    bool is_found = false;
    for (oci::Rlimit& rlimit : rlimits) {
      if (rlimit.type != bound.type) continue;
      is_found = true;
      if (rlimit.hard <= bound.hard && rlimit.soft <= bound.soft) continue;
      rlimit.hard = std::min(rlimit.hard, bound.hard);
      rlimit.soft = std::min(rlimit.soft, bound.soft);
      changes.push_back("lowered " + bound.type.substr(0, 40));
    }
    if (is_found) continue;
    rlimits.push_back(bound);
    changes.push_back("set " + bound.type.substr(0, 40) + " as for the container");
  }
  if (changes.size() > changes_before) process.SetRlimits(rlimits);
  return base::OkStatus();
}

}  // namespace

Result<HardeningResult> HardenRuntimeSpec(std::string_view config_json,
                                          const HardeningRequest& request) {
  ASSIGN_OR_RETURN(RuntimeSpec spec, RuntimeSpec::Parse(config_json, kSpecLimits));
  RETURN_IF_ERROR(CheckForbidden(spec, request));
  HardeningResult result;
  RETURN_IF_ERROR(StripAnnotations(spec, result.changes));
  RETURN_IF_ERROR(BoundProcess(spec, request, result.changes));
  if (request.readonly_rootfs) RETURN_IF_ERROR(SetReadonlyRootfs(spec, result.changes));
  if (request.forbid_privileged) {
    RETURN_IF_ERROR(DenyDevicesFirst(spec, result.changes));
    RETURN_IF_ERROR(AddDefaultPaths(spec, result.changes));
  }
  RETURN_IF_ERROR(AddPaths(spec, request, result.changes));
  if (request.seccomp != nullptr) RETURN_IF_ERROR(ApplySeccomp(spec, request, result.changes));
  result.spec_json = spec.Dump();
  return result;
}

Result<HardeningResult> HardenProcessSpec(std::string_view process_json,
                                          std::string_view container_process_json) {
  ASSIGN_OR_RETURN(RuntimeSpec exec, RuntimeSpec::ParseProcess(process_json, kSpecLimits));
  ASSIGN_OR_RETURN(RuntimeSpec container,
                   RuntimeSpec::ParseProcess(container_process_json, kSpecLimits));
  const oci::ProcessSpec limit = container.Process();
  HardeningResult result;
  RETURN_IF_ERROR(BoundToContainer(exec.Process(), limit, result.changes));
  ASSIGN_OR_RETURN(const bool no_new_privileges, limit.NoNewPrivileges());
  if (no_new_privileges) RETURN_IF_ERROR(SetNoNewPrivileges(exec.Process(), result.changes));
  RETURN_IF_ERROR(TakeLabels(exec.Process(), limit, result.changes));
  RETURN_IF_ERROR(BoundRlimits(exec.Process(), limit, result.changes));
  result.spec_json = exec.Dump();
  return result;
}

}  // namespace bulwark::profiles
