#include "plugin/profiles/spec_limits.h"

#include <algorithm>

namespace bulwark::profiles {

using base::Code;
using base::Error;

namespace {

base::Status CheckNamespaces(const oci::RuntimeSpec& spec) {
  ASSIGN_OR_RETURN(const auto namespaces, spec.Namespaces());
  for (const std::string_view type : {"pid", "ipc", "network"}) {
    const auto it = std::find_if(namespaces.begin(), namespaces.end(),
                                 [&](const auto& space) { return space.type == type; });
    if (it == namespaces.end()) {
      return Error::Make(Code::kPermissionDenied, "spec shares the host's {} namespace", type);
    }
    if (it->path.rfind("/proc/1/", 0) == 0 || it->path.rfind("/proc/self/", 0) == 0) {
      return Error::Make(Code::kPermissionDenied, "spec joins the host's {} namespace by path", type);
    }
  }
  return base::OkStatus();
}

// mknod(2) alone ("m") gives no access; containerd allows it for all devices by default.
bool AllowsAll(const oci::DeviceRule& rule) {
  const bool names_one = rule.major.value_or(-1) >= 0;
  return rule.allow && !names_one && rule.access != "m";
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
    return Error::Make(Code::kPermissionDenied, "spec has block device {}", block->path.substr(0, 100));
  }
  if (allows_block) return Error(Code::kPermissionDenied, "spec allows a block device");
  return base::OkStatus();
}

}  // namespace

base::Status CheckForbidden(const oci::RuntimeSpec& spec, const HardeningRequest& request) {
  if (request.forbid_host_namespaces) RETURN_IF_ERROR(CheckNamespaces(spec));
  if (request.forbid_privileged_devices) RETURN_IF_ERROR(CheckDevices(spec));
  return base::OkStatus();
}

}  // namespace bulwark::profiles
