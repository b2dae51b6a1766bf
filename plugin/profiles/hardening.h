// Plain data: what is tightened in a runtime spec, and what came of it. Shared with policy and admission.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace bulwark::seccomp {
struct Profile;
}  // namespace bulwark::seccomp

namespace bulwark::profiles {

// What only the node can tell about a spec, handed in so that everything else here stays pure. host_view.h has the real ones.
struct HostView {
  // Whether joining the namespace at `path` ("pid", "network"…, as in the spec) is joining the host's, or cannot be told.
  std::function<bool(const std::string& type, const std::string& path)> is_host_namespace;  // null: every path is
  // The path with symlinks followed as far as it exists, clean and absolute.
  std::function<std::string(const std::string& path)> resolve_path;  // null: only cleaned
};

// Bounds to put on a container. A default constructed request bounds little (but see HardenRuntimeSpec: annotations that
// steer the runtime are always stripped, another root file system is always refused). Nothing in here can widen what the
// pod asked for.
struct HardeningRequest {
  std::shared_ptr<const seccomp::Profile> seccomp;  // null: the pod's own stays as it is
  std::string seccomp_name;                         // for the record
  std::optional<std::vector<std::string>> capabilities_max;  // "CAP_CHOWN"…; absent: no bound; empty: none allowed
  bool no_new_privileges = false;
  bool readonly_rootfs = false;
  std::vector<std::string> masked_paths;        // absolute, added to the pod's
  std::vector<std::string> readonly_paths;      // absolute, added to the pod's
  bool forbid_host_namespaces = false;  // refuse a spec that shares the host's pid, ipc, network or mount namespace
  bool forbid_privileged = false;       // refuse all devices, block devices, unusual and protected mounts
  bool forbid_hooks = false;            // refuse programs that the runtime would run on the host
  std::string bundle;                   // of the container, absolute; empty: unknown, and root.path must be relative
  // Absolute. No mount may have one of these as its source, or what lies below or above it…
  std::vector<std::string> protected_paths;
  std::vector<std::string> unprotected_paths;  // …except what lies below one of these
  HostView host;
};

struct HardeningResult {
  std::string spec_json;             // the edited document
  std::vector<std::string> changes;  // for people and the audit record: "dropped CAP_SYS_ADMIN", "seccomp: …"
};

}  // namespace bulwark::profiles
