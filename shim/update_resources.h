// What Task.Update may change of a running container. The daemon admitted the container as it was
// created; an update that only moves its limits needs no new decision, one that gives it devices
// would. CRI sends the whole resources of the spec, devices included, so these are left out rather
// than refused; runc does not apply them in an update, crun does. Pure.
#pragma once

#include <string>
#include <string_view>

#include "lib/base/result.h"

namespace bulwark::shim {

// `resources_json` (OCI LinuxResources) with nothing but memory, cpu, pids, blockIO,
// hugepageLimits, rdma, unified and network. kInvalidArgument: no JSON object, a key twice, or two
// keys that differ by case only; kResourceExhausted: too large.
base::Result<std::string> UpdatableResources(std::string_view resources_json);

}  // namespace bulwark::shim
