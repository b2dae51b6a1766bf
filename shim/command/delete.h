// The `delete` command: containerd runs it for every container once the connection to its shim is
// gone: after each normal end, and after a crash. Quick, silent and repeatable. Removes what a lost
// shim left: the container in the runtime, its rootfs mounts, the shim's socket, undelivered
// lifecycle events. Prints a DeleteResponse. containerd allows 5 s for it
// (io.containerd.timeout.shim.cleanup); every step here has a bound and their sum is below.
#pragma once

#include <string>

#include "lib/base/result.h"
#include "shim/command/args.h"

namespace bulwark::shim {

// In the bundle, from Create on: the id of the decision that admitted the container.
inline constexpr char kDecisionFile[] = "/bulwark.decision";

struct DeleteOutcome {
  uint32_t pid = 0;         // of the container's init, 0 if unknown
  std::string decision_id;  // empty if unknown
  bool runtime_knew_it =
      false;  // the runtime still had the container: its shim was lost, or never finished
  std::string response;  // serialised containerd.task.DeleteResponse
};

// The bundle is -bundle, or the directory named like the id beside the current one. Failures of
// single steps are not errors: the next steps run and containerd gets its answer. kInvalidArgument
// if there is no such bundle path.
base::Result<DeleteOutcome> Delete(const Args& args);

// The command. Returns the exit status.
int RunDelete(const Args& args);

}  // namespace bulwark::shim
