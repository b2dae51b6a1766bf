// The two readers behind cgroup_stats.h, one a cgroup version. Each returns the serialised message;
// what the kernel does not offer stays empty.
#pragma once

#include <string>

#include "shim/os/cgroup_path.h"

namespace bulwark::shim {

std::string ReadMetricsV1(const Cgroup& cgroup);
std::string ReadMetricsV2(const std::string& directory);

}  // namespace bulwark::shim
