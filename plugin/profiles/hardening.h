// Plain data: what is tightened in a runtime spec, and what came of it. Shared with policy and admission.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace bulwark::seccomp {
struct Profile;
}  // namespace bulwark::seccomp

namespace bulwark::profiles {

// Bounds to put on a container. A default constructed request bounds nothing (but see HardenRuntimeSpec: annotations
// that steer crun are always stripped). Nothing in here can widen what the pod asked for.
struct HardeningRequest {
  std::shared_ptr<const seccomp::Profile> seccomp;  // null: the pod's own stays as it is
  std::string seccomp_name;                         // for the record
  std::optional<std::vector<std::string>> capabilities_max;  // "CAP_CHOWN"…; absent: no bound; empty: none allowed
  bool no_new_privileges = false;
  bool readonly_rootfs = false;
  std::vector<std::string> masked_paths;        // absolute, added to the pod's
  std::vector<std::string> readonly_paths;      // absolute, added to the pod's
  bool forbid_host_namespaces = false;          // refuse a spec that shares the host's pid, ipc or network namespace
  bool forbid_privileged_devices = false;       // refuse a spec that is allowed all devices, or given a block device
};

struct HardeningResult {
  std::string spec_json;             // the edited document
  std::vector<std::string> changes;  // for people and the audit record: "dropped CAP_SYS_ADMIN", "seccomp: …"
};

}  // namespace bulwark::profiles
