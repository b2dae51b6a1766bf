// Starting programs. The only way bulwark starts a process: no shell, explicit argv and environment, every descriptor
// closed except those mapped, default signal dispositions and an empty signal mask in the child.
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
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

// Starts a child (clone with CLONE_PIDFD and vfork semantics: the caller's thread waits until the program is loaded;
// needs Linux 5.9). The caller must reap it with waitid. A failure before or at execve is reported here, as an error with
// that call's errno, not as an exit status; nothing is left to reap then. PATH is ours, not that of `environment`; empty
// and relative entries of it are skipped. kInvalidArgument for an empty argv, a NUL in a string, a negative descriptor or
// a child descriptor that is mapped twice; kNotFound if the program is not in PATH. Thread-safe.
Result<SpawnedProcess> Spawn(const SpawnOptions& options);

// Raises our soft RLIMIT_NOFILE to the hard one. Every child that Spawn starts from then on gets the old soft limit back:
// programs that use select(2) break with descriptors above 1023, and many close "all" descriptors one by one. Call it
// once, before other threads start.
Status RaiseDescriptorLimit();

struct CapturedOutput {
  int exit_status = 0;  // exit code, or 128 + signal
  std::string output;   // stdout, and stderr unless it was mapped; cut at `max_bytes`
};
// Spawns in a process group of its own, gives it `input` as stdin (a file in memory), collects output, and waits until
// the child ends, even if a process that it left behind still holds the output open. Blocks up to `timeout_ms`, then
// kills the group: kDeadlineExceeded. `options` may map descriptors from 2 on only. Not for the shim's serving process,
// which must never block.
Result<CapturedOutput> RunCommand(SpawnOptions options, std::string_view input, size_t max_bytes, int timeout_ms);

// Shell convention for a status as waitpid gives it: exit code, or 128 + signal number; 255 for anything else.
int ExitStatusFromWait(int wait_status);

}  // namespace bulwark::base
