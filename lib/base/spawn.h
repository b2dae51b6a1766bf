// Starting programs. The only way bulwark starts a process: no shell, explicit argv and environment, every descriptor
// closed except those mapped, default signal dispositions and an empty signal mask in the child.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/result.h"
#include "lib/base/unique_fd.h"

namespace bulwark::base {

struct SpawnOptions {
  std::vector<std::string> argv;                     // argv[0] is searched in PATH unless it has a slash
  std::optional<std::vector<std::string>> environment;  // nullopt: inherit ours
  std::string working_directory;                     // empty: inherit ours
  // {parent fd, child fd}: the child gets exactly these. 0, 1 and 2 are /dev/null unless mapped.
  std::vector<std::pair<int, int>> descriptors;
  bool new_process_group = false;
  int parent_death_signal = 0;                       // PR_SET_PDEATHSIG; fires when the spawning *thread* ends
};

struct SpawnedProcess {
  pid_t pid = -1;
  UniqueFd pidfd;
};

// Starts a child (clone3 with CLONE_PIDFD, vfork semantics; fork+pidfd_open where that is missing). The caller must reap
// it with waitid. A failure to exec is reported here, as an error with the errno of execve, not as an exit status.
Result<SpawnedProcess> Spawn(const SpawnOptions& options);

struct CapturedOutput {
  int exit_status = 0;  // exit code, or 128 + signal
  std::string output;   // stdout and stderr together, cut at `max_bytes`
};
// Spawns, feeds `input` to stdin, collects output, waits. Blocks up to `timeout_ms`, then kills: kDeadlineExceeded.
// Not for the shim's serving process, which must never block.
Result<CapturedOutput> RunCommand(SpawnOptions options, std::string_view input, size_t max_bytes, int timeout_ms);

// Shell convention for a waitid/waitpid status: exit code, or 128 + signal number.
int ExitStatusFromWait(int wait_status);

}  // namespace bulwark::base
