// Reaps every child of the shim: runtime calls, helpers, and the container processes that are
// reparented to it (PR_SET_CHILD_SUBREAPER, prctl(2)). A watched process is followed by its pidfd
// and reaped with waitid(P_PIDFD), so a pid can neither be mixed up nor be reused while somebody
// holds it. Everything else that dies is an orphan: it is reaped by a sweep and forgotten.
//
// Early exits: a container process may die before its pid is known, because the runtime tells it
// through a pid file. Such a process stays a zombie until we reap it, and only the sweep would; so
// the sweep is held back (SweepHold) while a runtime call is in flight that leaves a process
// behind. pidfd_open(2) works on a zombie, and its status is still there.
//
// Thread: the loop's. Nothing blocks.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <functional>
#include <memory>
#include <unordered_map>

#include "lib/base/clock.h"
#include "lib/base/event_loop.h"
#include "lib/base/result.h"
#include "lib/base/unique_fd.h"

namespace bulwark::shim {

struct ProcessExit {
  uint32_t status = 0;  // exit code, or 128 + signal
  int64_t wall_ns = 0;  // when it was reaped
};

class Reaper {
 public:
  using Callback = std::function<void(const ProcessExit&)>;

  // `loop` and `clock` must outlive the reaper.
  Reaper(base::EventLoop& loop, const base::Clock& clock);
  ~Reaper();
  Reaper(const Reaper&) = delete;
  Reaper& operator=(const Reaper&) = delete;

  // Follows our child `pid`. `callback` runs once, from the loop, after the process has been
  // reaped; never before Watch returns. kAlreadyExists if the pid is watched.
  base::Status Watch(pid_t pid, base::UniqueFd pidfd, Callback callback);

  // The same for a process that the runtime left to us, known by its pid only. The caller holds a
  // SweepHold taken before the runtime was started, so the pid is that process, dead or alive.
  // kNotFound if there is no such process.
  base::Status WatchPid(pid_t pid, Callback callback);

  // Sends a signal through the pidfd: it reaches the watched process or none. kNotFound if the pid
  // is not watched or the process has exited.
  base::Status Signal(pid_t pid, int signal_number) const;

  // A child died (SIGCHLD). Sweeps now, or when the last hold goes.
  void RequestSweep();

  // Keeps orphans unreaped while it lives. Move-only.
  class SweepHold {
   public:
    SweepHold() = default;
    explicit SweepHold(Reaper* reaper);
    SweepHold(SweepHold&& other) noexcept;
    SweepHold& operator=(SweepHold&& other) noexcept;
    ~SweepHold() { Release(); }
    void Release();

   private:
    Reaper* reaper_ = nullptr;
  };

  size_t watched_count() const { return watched_.size(); }

 private:
  struct Watched {
    base::UniqueFd pidfd;
    Callback callback;
    base::EventLoop::TimerId retry = 0;  // set while an exit cannot be reaped yet
  };

  void OnReadable(pid_t pid);
  void RetryLater(pid_t pid, Watched& watched);
  void Finish(pid_t pid, uint32_t status);
  void Sweep();

  base::EventLoop& loop_;
  const base::Clock& clock_;
  std::unordered_map<pid_t, Watched> watched_;
  int holds_ = 0;
  bool sweep_wanted_ = false;
};

}  // namespace bulwark::shim
