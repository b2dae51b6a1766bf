// Which cgroup a container is in, found once from /proc/PID/cgroup of its init right after `runc
// create`, while init cannot have moved yet (cgroups(7), /proc/[pid]/cgroup). The directories are
// used for Stats, Pids and OOM events. Calls block only as long as cgroupfs and procfs do.
// Thread-safe.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/result.h"

namespace bulwark::shim {

// As containerd's cgroups.Mode(): a machine with v1 controllers plus a unified tree ("hybrid")
// counts as kV1.
enum class CgroupMode { kV1, kV2 };

struct Cgroup {
  CgroupMode mode = CgroupMode::kV2;
  std::string unified_directory;  // kV2: e.g. /sys/fs/cgroup/system.slice/x; kV1: empty
  // kV1: controller ("memory", "pids", …; not named hierarchies) and its directory, e.g.
  // /sys/fs/cgroup/memory/default/x.
  std::vector<std::pair<std::string, std::string>> controllers;
  // As in /proc/PID/cgroup: of the unified tree, or of the memory (else the first) controller.
  std::string path;

  // The directory of a v1 controller; the unified directory on kV2; nullptr if there is none.
  const std::string* DirectoryOf(std::string_view controller) const;
  // Whether the cgroup is still there (its unified or any controller's directory).
  bool Exists() const;
};

inline constexpr char kCgroupRoot[] = "/sys/fs/cgroup";

// kV2 if `root` is a cgroup2 mount, else kV1. kNotFound if there is no such directory.
base::Result<CgroupMode> DetectCgroupMode(const std::string& root = kCgroupRoot);

// kNotFound: no such process. kInvalidArgument: malformed text, a path that is not absolute or
// contains "..".
base::Result<Cgroup> CgroupOf(pid_t pid);
// The part of CgroupOf without the machine: `text` is the content of /proc/PID/cgroup.
base::Result<Cgroup> ParseCgroup(std::string_view text, CgroupMode mode, const std::string& root);

// All processes of the cgroup and those below it, sorted, each once: for Task.Pids. Empty if the
// cgroup is gone. kResourceExhausted beyond 65536 processes or 4096 cgroups.
base::Result<std::vector<pid_t>> ProcessesIn(const Cgroup& cgroup);

// kV2: enables every controller of the root along the cgroup's ancestors, as containerd's shim does
// after create, so that Stats has numbers for controllers the runtime did not need. kV1: nothing.
// An error is worth a log line, no more.
base::Status EnableControllers(const Cgroup& cgroup, const std::string& root = kCgroupRoot);

}  // namespace bulwark::shim
