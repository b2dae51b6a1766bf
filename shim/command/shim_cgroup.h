// Puts the shim into the cgroup that the runtime option ShimCgroup names, as containerd's shims do,
// so that its memory is accounted where the operator wants it. cgroups(7).
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"

namespace bulwark::shim {

// Moves process `pid` into cgroup `path` (below the root of the hierarchy, with or without a
// leading slash): on cgroup v2 the one at <root>/<path>; on v1 in every mounted hierarchy that has
// it. kNotFound if none has, kInvalidArgument for a path with "..".
base::Status JoinShimCgroup(pid_t pid, std::string_view path, const std::string& root);

// The mount points of cgroup v1 hierarchies, from the text of /proc/self/mountinfo. Pure.
std::vector<std::string> CgroupV1MountPoints(std::string_view mountinfo);

}  // namespace bulwark::shim
