// One process of a container, as containerd sees it: the init process or an exec process. Holds its
// state, its stdio and who waits for its exit; moves only along the allowed transitions, and
// refuses with the texts of the stock shim, which clients match on. Starts nothing itself.
//
//   created --BeginStart--> starting --Started--> running
//   running --BeginPause--> pausing --PauseEnded--> paused --Resumed--> running
//                           starting --StartFailed--> created (init) | stopped (exec)
//   any state --Exited--> stopped
//
// Thread: the loop's. Nothing blocks.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "containerd/task.pb.h"
#include "lib/base/event_loop.h"
#include "lib/base/result.h"
#include "shim/os/stdio.h"
#include "shim/reaper.h"

namespace bulwark::shim {

// What containerd calls an unknown exit status; never 0.
inline constexpr uint32_t kUnknownExitStatus = 255;

class Process {
 public:
  enum class State { kCreated, kStarting, kRunning, kPausing, kPaused, kStopped };
  using ExitCallback = std::function<void(const ProcessExit&)>;

  // `exec_id` is empty for the init process.
  Process(std::string exec_id, StdioRequest stdio_request)
      : io_request(std::move(stdio_request)), exec_id_(std::move(exec_id)) {}

  bool is_init() const { return exec_id_.empty(); }
  const std::string& exec_id() const { return exec_id_; }
  State state() const { return state_; }
  // The state on the wire; a starting process is still "created".
  containerd::task::TaskStatus wire_status() const;
  pid_t pid() const { return pid_; }
  const ProcessExit& exit() const { return exit_; }  // zeros until stopped
  bool is_alive() const { return pid_ > 0 && state_ != State::kStopped; }

  // The runtime has made the process and it waits to be started (init), or it runs (exec, before
  // Started).
  void SetPid(pid_t pid) { pid_ = pid; }

  // kUnknown "cannot start a … process"; kFailedPrecondition once it has stopped.
  base::Status BeginStart();
  void Started();
  // An init stays created: its process still waits. An exec never ran: it is stopped with an
  // unknown status, and whoever waits for it is told.
  void StartFailed(int64_t now_ns);
  // Runs `callback` when a start under way has succeeded or failed and has been told: at
  // StartSettled. Precondition: the state is kStarting.
  void WhenStartSettled(std::function<void()> callback) {
    settled_.push_back(std::move(callback));
  }
  void StartSettled();

  // kUnknown "cannot pause a … process" unless running.
  base::Status BeginPause();
  void PauseEnded(bool is_paused);
  // kUnknown "cannot resume a … process" unless paused.
  base::Status CheckResume() const;
  void Resumed();

  // kUnknown "cannot delete a running process" unless created or stopped.
  base::Status CheckDelete() const;

  // The process is gone and that has been published. Tells all waiters. Later calls are ignored.
  void Exited(const ProcessExit& exit);
  // Runs `callback` when the process has exited; at once if it has. The number is for ForgetWaiter
  // (which ignores unknown ones).
  uint64_t WaitExit(ExitCallback callback);
  void ForgetWaiter(uint64_t number) { waiters_.erase(number); }
  size_t waiter_count() const { return waiters_.size(); }

  // Opens the stdio and calls `done` once, maybe at once, when the runtime may be started. An error
  // is kUnknown.
  void OpenIo(base::EventLoop& loop, std::function<void(base::Status)> done);
  // Works before the stdio is open, too.
  void CloseStdin();

  const StdioRequest io_request;
  std::unique_ptr<Stdio> io;  // null until opened
  std::string spec;           // exec only: the admitted OCI process JSON, until it has been started
  std::string decision_id;    // exec only: of the gate's answer

 private:
  std::string exec_id_;
  State state_ = State::kCreated;
  pid_t pid_ = 0;
  ProcessExit exit_;
  std::map<uint64_t, ExitCallback> waiters_;
  uint64_t last_waiter_ = 0;
  std::vector<std::function<void()>> settled_;
  bool is_stdin_closed_ = false;
};

// "created", "running" … for messages.
std::string_view StateName(Process::State state);

}  // namespace bulwark::shim
