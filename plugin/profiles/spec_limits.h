// What a runtime spec may not ask for at all, where bounding it would not make sense. Pure.
#pragma once

#include "lib/base/result.h"
#include "lib/oci/runtime_spec.h"
#include "plugin/profiles/hardening.h"

namespace bulwark::profiles {

// kPermissionDenied, naming what is asked for, if the request forbids it:
//   - forbid_host_namespaces: no pid, ipc or network namespace entry (then it is the host's), or one that is joined
//     through /proc/1/ns or /proc/self/ns. Whether any other path leads to a host namespace only the node can see;
//   - forbid_privileged_devices: a device rule that allows all devices, or all of a kind, or a block device node.
// kInvalidArgument if these parts of the spec are malformed.
base::Status CheckForbidden(const oci::RuntimeSpec& spec, const HardeningRequest& request);

}  // namespace bulwark::profiles
