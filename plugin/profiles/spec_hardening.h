// Tightens OCI runtime specs: the container's config.json at create, and the process at exec. Every edit is an
// intersection with what was asked for, so the result is never wider than the input. Unknown fields and key order are
// kept. Pure but for HardeningRequest.host: no clock, files or sockets; any thread; typically well below a millisecond.
//
// Errors of both functions:
//   kInvalidArgument     malformed JSON, duplicate keys, keys that differ only by case from ones set here, wrong types
//   kResourceExhausted   larger than 4 MiB, too deep, too many values
//   kPermissionDenied    the spec asks for something that is forbidden rather than bounded (see CheckForbidden)
//   kFailedPrecondition  the two seccomp profiles cannot be intersected at all (see seccomp::Intersect)
#pragma once

#include <string_view>

#include "lib/base/result.h"
#include "plugin/profiles/hardening.h"

namespace bulwark::profiles {

// config.json of a container (runtime-spec, config.md and config-linux.md), edited so that
//   - each of the five capability sets is what was asked for, within capabilities_max;
//   - noNewPrivileges and root.readonly are set if either side wants them;
//   - linux.seccomp is the intersection of the pod's profile and ours, or ours if the pod has none;
//   - maskedPaths and readonlyPaths are the union; with forbid_privileged an empty list is the runtimes' default first;
//   - with forbid_privileged the device rules begin by denying all: what nobody ruled out would else be the parent's;
//   - annotations that change what a runtime, systemd or CRIU do are gone, always: "run.oci.*", "module.wasm.*" (crun),
//     "org.systemd.property.*" (both), "org.criu.*".
base::Result<HardeningResult> HardenRuntimeSpec(std::string_view config_json,
                                                const HardeningRequest& request);

// The process of an exec, held to that of its container. `container_process_json` is the "process" object of the
// config.json the container was really created with (after HardenRuntimeSpec). Capability sets are cut to the
// container's bounding set (ambient and inheritable to its own), noNewPrivileges is set if the container has it,
// apparmorProfile, selinuxLabel and oomScoreAdj are the container's, rlimits are no higher than the container's. User,
// args, env, cwd and terminal stay: whether they are allowed is policy's business.
base::Result<HardeningResult> HardenProcessSpec(std::string_view process_json,
                                                std::string_view container_process_json);

}  // namespace bulwark::profiles
