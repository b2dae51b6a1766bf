// Calls the OCI runtime (runc or crun) for one container. Every call is an asynchronous child of
// the loop: followed by its pidfd, never waited for, never killed because a caller went away; if
// the shim dies the kernel kills it (PR_SET_PDEATHSIG). Each call has its own log file in the
// bundle, so an error text cannot be that of another call. Command lines as containerd's go-runc
// builds them; runc(8), crun(1). Thread: the loop's. `done` runs once, from the loop, never before
// the method returns.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/event_loop.h"
#include "lib/base/result.h"
#include "shim/reaper.h"

namespace bulwark::shim {

struct RuntimeResult {
  int exit_status = 0;  // exit code, or 128 + signal; 127 if the runtime could not be started
  std::string output;  // what it printed on stdout and stderr, unless they were the container's; at
                       // most 1 MiB
  std::string log_error;  // the last error of its log

  bool ok() const { return exit_status == 0; }
  // The error to answer with: code kUnknown, text "PREFIX: WHY" (see RuntimeFailureText).
  base::Error ToError(std::string_view prefix) const;
  // Log and output together, for matching on what the runtime says.
  std::string Said() const { return log_error + "\n" + output; }
};

class RuntimeCli {
 public:
  struct Settings {
    std::string binary;  // name or absolute path
    std::string root;    // with the containerd namespace
    std::string bundle;
    std::string container_id;
    bool systemd_cgroup = false;
    bool no_pivot_root = false;
    bool no_new_keyring = false;
  };
  // {ours, child's}: what the container's process gets as 0, 1 and 2. Not owned, not closed.
  using Descriptors = std::vector<std::pair<int, int>>;
  using Done = std::function<void(RuntimeResult)>;

  // `loop` and `reaper` must outlive all calls; the RuntimeCli itself need not.
  RuntimeCli(base::EventLoop& loop, Reaper& reaper, Settings settings);

  // Leaves a process behind (pid in PidFile("")), which inherits `stdio`; what is missing there
  // is /dev/null. With a console socket `stdio` is not used: the runtime's own output is captured.
  // The sweep is held back until after `done` has returned.
  void Create(const std::string& console_socket, const Descriptors& stdio, Done done);
  void Start(Done done);
  void Kill(uint32_t signal_number, bool all, Done done);
  void Delete(bool force, Done done);
  // The same as Create, for an exec process: `process_file` holds its OCI process JSON, `pid_file`
  // gets its pid.
  void Exec(const std::string& process_file, const std::string& pid_file,
            const std::string& console_socket, const Descriptors& stdio, Done done);
  void Pause(Done done);
  void Resume(Done done);
  // `done`'s output is a JSON array of pids.
  void ListPids(Done done);
  // `resources_json`: OCI LinuxResources.
  void Update(std::string_view resources_json, Done done);

  // BUNDLE/EXECID.pid; for an empty exec id the init's, BUNDLE/init.pid.
  std::string PidFile(std::string_view exec_id) const;
  const Settings& settings() const { return settings_; }

 private:
  struct Call {
    std::vector<std::string> arguments;
    std::optional<Descriptors> stdio;  // absent: captured
    std::string_view input;            // for stdin, when captured
    bool leaves_process = false;
    bool keeps_log = false;  // log.json, where people look for it
  };
  void Run(Call call, Done done);

  base::EventLoop& loop_;
  Reaper& reaper_;
  Settings settings_;
};

// Reads a pid file that the runtime wrote: one positive decimal number. kDataLoss if it is anything
// else.
base::Result<pid_t> ReadPidFile(const std::string& path);

}  // namespace bulwark::shim
