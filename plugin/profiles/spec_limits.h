// What a runtime spec may not ask for at all, where bounding it would not make sense. Pure but for HardeningRequest.host.
#pragma once

#include <string>
#include <string_view>

#include "lib/base/result.h"
#include "lib/oci/runtime_spec.h"
#include "plugin/profiles/hardening.h"

namespace bulwark::profiles {

// kPermissionDenied, naming what is asked for, if it is never allowed:
//   - a root file system other than "rootfs" in the bundle: there containerd mounts the snapshot that was judged;
//   - a mount over that root, which would replace it;
//   - two namespaces of one type: runc and crun may not take the same of the two;
// or if the request forbids it:
//   - forbid_host_namespaces: no pid, ipc, network or mount namespace entry (then it is the host's), or any namespace
//     joined by a path that leads to the host's, or of which that cannot be told;
//   - forbid_privileged: a device rule that allows all devices, or all of a kind, or a block device node; hooks, which
//     run on the host; a mount whose source is, holds or lies in a protected path.
base::Status CheckForbidden(const oci::RuntimeSpec& spec, const HardeningRequest& request);

// Whether the rule takes every access to every device away, however runtimes read it.
bool DeniesAll(const oci::DeviceRule& rule);

// The absolute path without ".", "..", empty parts and a slash at the end; ".." does not leave the root. Lexical.
std::string CleanAbsolute(std::string_view path);

}  // namespace bulwark::profiles
