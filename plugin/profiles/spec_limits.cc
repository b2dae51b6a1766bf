#include "plugin/profiles/spec_limits.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <vector>

namespace bulwark::profiles {

using base::Code;
using base::Error;

namespace {

constexpr size_t kShownMax = 100;  // bytes of a name from the spec that messages repeat

std::string Shown(const std::string& text) { return text.substr(0, kShownMax); }

base::Status CheckRoot(const oci::RuntimeSpec& spec, const std::string& bundle) {
  ASSIGN_OR_RETURN(const std::string path, spec.RootPath());
  std::string clean = std::filesystem::path(path).lexically_normal().string();
  if (clean.size() > 1 && clean.back() == '/') clean.pop_back();
  if (clean == "rootfs") return base::OkStatus();
  if (!bundle.empty() && clean == CleanAbsolute(bundle + "/rootfs")) return base::OkStatus();
  return Error::Make(Code::kPermissionDenied, "spec has root file system '{}', not the bundle's rootfs", Shown(path));
}

base::Status CheckUniqueNamespaces(const oci::RuntimeSpec& spec) {
  ASSIGN_OR_RETURN(const auto namespaces, spec.Namespaces());
  std::set<std::string> types;
  for (const oci::LinuxNamespace& space : namespaces) {
    if (types.insert(space.type).second) continue;
    return Error::Make(Code::kPermissionDenied, "spec has two {} namespaces", Shown(space.type));
  }
  return base::OkStatus();
}

base::Status CheckHostNamespaces(const oci::RuntimeSpec& spec, const HostView& host) {
  ASSIGN_OR_RETURN(const auto namespaces, spec.Namespaces());
  for (const std::string_view type : {"pid", "ipc", "network", "mount"}) {
    const bool is_listed =
        std::any_of(namespaces.begin(), namespaces.end(), [&](const auto& space) { return space.type == type; });
    if (!is_listed) return Error::Make(Code::kPermissionDenied, "spec shares the host's {} namespace", type);
  }
  for (const oci::LinuxNamespace& space : namespaces) {
    if (space.path.empty()) continue;
    const bool has_nul = space.path.find('\0') != std::string::npos;  // as for mounts
    if (!has_nul && host.is_host_namespace && !host.is_host_namespace(space.type, space.path)) continue;
    return Error::Make(Code::kPermissionDenied, "spec joins a {} namespace by path {}, which is the host's or cannot be told",
                       Shown(space.type), Shown(space.path));
  }
  return base::OkStatus();
}

// A rule for one kind of device names it by number. mknod(2) alone ("m") gives no access; containerd allows it for all
// devices of a kind by default. A rule for all kinds ("a", or none) is for all devices whatever numbers and access it has:
// cgroup v1 and runc do not look at them (cgroups: devices.allow; runc, devices_emulator.go).
bool AllowsAll(const oci::DeviceRule& rule) {
  if (!rule.allow) return false;
  if (rule.type != "c" && rule.type != "b") return true;
  return rule.major.value_or(-1) < 0 && rule.access != "m";
}

base::Status CheckDevices(const oci::RuntimeSpec& spec) {
  ASSIGN_OR_RETURN(const auto rules, spec.DeviceRules());
  if (std::any_of(rules.begin(), rules.end(), AllowsAll)) {
    return Error(Code::kPermissionDenied, "spec allows all devices");
  }
  const auto is_block = [](const auto& item) { return item.type == "b"; };
  const bool allows_block = std::any_of(rules.begin(), rules.end(), [&](const auto& rule) {
    return is_block(rule) && rule.allow && rule.access != "m";
  });
  ASSIGN_OR_RETURN(const auto devices, spec.Devices());
  const auto block = std::find_if(devices.begin(), devices.end(), is_block);
  if (block != devices.end()) {
    return Error::Make(Code::kPermissionDenied, "spec has block device {}", Shown(block->path));
  }
  if (allows_block) return Error(Code::kPermissionDenied, "spec allows a block device");
  return base::OkStatus();
}

// Destinations are relative to the new root, so that "", "." and ".." are the root too.
base::Status CheckDestinations(const std::vector<oci::SpecMount>& mounts) {
  for (const oci::SpecMount& mount : mounts) {
    // Where the string ends is for C (crun) another place than for us.
    if ((mount.destination + mount.source).find('\0') != std::string::npos) {
      return Error(Code::kPermissionDenied, "spec mounts a path with a NUL byte");
    }
    if (CleanAbsolute("/" + mount.destination) != "/") continue;
    return Error::Make(Code::kPermissionDenied, "spec mounts {} over the root file system", Shown(mount.source));
  }
  return base::OkStatus();
}

// Both paths clean. Whether `inner` is `outer` or lies below it.
bool IsWithin(const std::string& outer, const std::string& inner) {
  if (outer == "/" || outer == inner) return true;
  return inner.size() > outer.size() && inner.starts_with(outer) && inner[outer.size()] == '/';
}

// A path as it is written and as it resolves: a symlink to something protected is protected as well.
std::vector<std::string> Readings(const HardeningRequest& request, const std::string& path) {
  const std::string clean = CleanAbsolute(path);
  // What resolves is the path as it is written: ".." after a symlink is not what it is after cleaning.
  const std::string resolved = request.host.resolve_path ? request.host.resolve_path(path) : clean;
  if (resolved == clean) return {clean};
  return {clean, resolved};
}

bool IsProtected(const HardeningRequest& request, const std::string& protected_path, const std::string& source) {
  if (IsWithin(source, protected_path)) return true;
  if (!IsWithin(protected_path, source)) return false;
  for (const std::string& exempt : request.unprotected_paths) {
    for (const std::string& path : Readings(request, exempt)) {
      if (IsWithin(protected_path, path) && path != source && IsWithin(path, source)) return false;
    }
  }
  return true;
}

// Whether the path leads, at any point of its way, through what is another thing for the runtime than for us.
bool DependsOnWhoLooks(const std::string& path) {
  std::filesystem::path way = "/";
  for (const std::filesystem::path& part : std::filesystem::path(path).relative_path()) {
    way /= part;
    const std::string here = CleanAbsolute(way.string());
    for (const char* who : {"/proc/self", "/proc/thread-self", "/dev/fd"}) {
      if (IsWithin(who, here)) return true;
    }
  }
  return false;
}

base::Status CheckSource(const HardeningRequest& request, const std::string& source) {
  if (DependsOnWhoLooks(source)) {
    return Error::Make(Code::kPermissionDenied, "spec mounts {}, which depends on who looks", Shown(source));
  }
  const std::vector<std::string> readings = Readings(request, source);
  for (const std::string& entry : request.protected_paths) {
    for (const std::string& protected_path : Readings(request, entry)) {
      for (const std::string& path : readings) {
        if (!IsProtected(request, protected_path, path)) continue;
        return Error::Make(Code::kPermissionDenied, "spec mounts {}, which is, holds or lies in {}", Shown(source), entry);
      }
    }
  }
  return base::OkStatus();
}

bool IsBind(const oci::SpecMount& mount) {
  return mount.type == "bind" || std::any_of(mount.options.begin(), mount.options.end(), [](const std::string& option) {
           return option == "bind" || option == "rbind";
         });
}

// Those that containers have without asking. Any other reaches what no path in the spec shows: an overlay's layers, a disk.
base::Status CheckMountTypes(const std::vector<oci::SpecMount>& mounts) {
  constexpr std::string_view kUsual[] = {"proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2"};
  for (const oci::SpecMount& mount : mounts) {
    if (IsBind(mount) || std::find(std::begin(kUsual), std::end(kUsual), mount.type) != std::end(kUsual)) continue;
    return Error::Make(Code::kPermissionDenied, "spec mounts a file system of type {} on {}", Shown(mount.type),
                       Shown(mount.destination));
  }
  return base::OkStatus();
}

// An absolute source is looked at whatever the type: what runtimes make of an unknown or missing one differs.
base::Status CheckSources(const std::vector<oci::SpecMount>& mounts, const HardeningRequest& request) {
  for (const oci::SpecMount& mount : mounts) {
    if (mount.source.starts_with('/')) {
      RETURN_IF_ERROR(CheckSource(request, mount.source));
    } else if (IsBind(mount)) {  // relative to the bundle
      if (request.bundle.empty()) {
        return Error::Make(Code::kPermissionDenied, "spec mounts {}, a relative path", Shown(mount.source));
      }
      RETURN_IF_ERROR(CheckSource(request, request.bundle + "/" + mount.source));
    }
  }
  return base::OkStatus();
}

}  // namespace

bool DeniesAll(const oci::DeviceRule& rule) {
  const auto has = [&](char access) { return rule.access.find(access) != std::string::npos; };
  return !rule.allow && (rule.type.empty() || rule.type == "a") && rule.major.value_or(-1) == -1 &&
         rule.minor.value_or(-1) == -1 && has('r') && has('w') && has('m');
}

std::string CleanAbsolute(std::string_view path) {
  // One slash in front: two would be a root name of their own to std::filesystem elsewhere.
  std::string clean = std::filesystem::path("/" + std::string(path.substr(std::min(path.find_first_not_of('/'), path.size()))))
                          .lexically_normal()
                          .string();
  if (clean.size() > 1 && clean.back() == '/') clean.pop_back();
  return clean;
}

base::Status CheckForbidden(const oci::RuntimeSpec& spec, const HardeningRequest& request) {
  ASSIGN_OR_RETURN(const auto mounts, spec.Mounts());
  RETURN_IF_ERROR(CheckRoot(spec, request.bundle));
  RETURN_IF_ERROR(CheckDestinations(mounts));
  RETURN_IF_ERROR(CheckUniqueNamespaces(spec));
  if (request.forbid_host_namespaces) RETURN_IF_ERROR(CheckHostNamespaces(spec, request.host));
  if (request.forbid_hooks && spec.HasHooks()) {
    return Error(Code::kPermissionDenied, "spec has hooks, which run on the host (profile.allowHooks)");
  }
  if (!request.forbid_privileged) return base::OkStatus();
  RETURN_IF_ERROR(CheckDevices(spec));
  RETURN_IF_ERROR(CheckMountTypes(mounts));
  return CheckSources(mounts, request);
}

}  // namespace bulwark::profiles
