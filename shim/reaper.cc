#include "shim/reaper.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "lib/base/logging.h"

// glibc 2.36 has P_PIDFD in <sys/wait.h>; the kernel's number is 3 (linux/wait.h).
#ifndef P_PIDFD
#define P_PIDFD 3
#endif

namespace bulwark::shim {
namespace {

constexpr int64_t kRetryMs = 100;

uint32_t StatusOf(const siginfo_t& info) {
  const int base = info.si_code == CLD_EXITED ? 0 : 128;
  return static_cast<uint32_t>(base + info.si_status);
}

}  // namespace

Reaper::Reaper(base::EventLoop& loop, const base::Clock& clock) : loop_(loop), clock_(clock) {}

Reaper::~Reaper() {
  for (auto& [pid, watched] : watched_) {
    loop_.Unwatch(watched.pidfd.get());
    loop_.CancelTimer(watched.retry);
  }
}

base::Status Reaper::Watch(pid_t pid, base::UniqueFd pidfd, Callback callback) {
  if (watched_.count(pid) != 0) {
    return base::Error::Make(base::Code::kAlreadyExists, "process {} is already watched", pid);
  }
  const int fd = pidfd.get();
  RETURN_IF_ERROR(loop_.Watch(fd, EPOLLIN, [this, pid](uint32_t) { OnReadable(pid); }));
  watched_.emplace(pid, Watched{std::move(pidfd), std::move(callback), 0});
  return base::OkStatus();
}

base::Status Reaper::WatchPid(pid_t pid, Callback callback) {
  base::UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd.is_open()) {
    const int saved = errno;
    if (saved == ESRCH) {
      return base::Error::Make(base::Code::kNotFound, "process {} does not exist", pid);
    }
    return base::Error::WithErrno(saved, "open pidfd of process " + std::to_string(pid));
  }
  return Watch(pid, std::move(pidfd), std::move(callback));
}

base::Status Reaper::Signal(pid_t pid, int signal_number) const {
  const auto it = watched_.find(pid);
  if (it == watched_.end()) {
    return base::Error(base::Code::kNotFound, "process already finished");
  }
  if (syscall(SYS_pidfd_send_signal, it->second.pidfd.get(), signal_number, nullptr, 0) == 0) {
    return base::OkStatus();
  }
  const int saved = errno;
  if (saved == ESRCH) return base::Error(base::Code::kNotFound, "process already finished");
  return base::Error::WithErrno(saved, "signal process " + std::to_string(pid));
}

void Reaper::OnReadable(pid_t pid) {
  const auto it = watched_.find(pid);
  if (it == watched_.end()) return;
  siginfo_t info = {};
  const auto pidfd_id = static_cast<id_t>(it->second.pidfd.get());
  int result;
  do {
    result = waitid(static_cast<idtype_t>(P_PIDFD), pidfd_id, &info, WEXITED | WNOHANG);
  } while (result < 0 && errno == EINTR);
  if (result == 0 && info.si_pid == 0) return RetryLater(pid, it->second);
  if (result < 0) {
    // Never our child, or reaped by somebody else: both are broken invariants that must not lose
    // the exit itself.
    base::LogError("process exited, its status is unknown", {{"pid", std::to_string(pid)}});
    Finish(pid, 255);
    return;
  }
  Finish(pid, StatusOf(info));
}

// It has exited, but a debugger has it first (ptrace(2)). The pidfd stays readable all the while
// and would spin the loop.
void Reaper::RetryLater(pid_t pid, Watched& watched) {
  loop_.Unwatch(watched.pidfd.get());
  watched.retry = loop_.AddTimer(kRetryMs, [this, pid] { OnReadable(pid); });
}

void Reaper::Finish(pid_t pid, uint32_t status) {
  auto node = watched_.extract(pid);
  loop_.Unwatch(node.mapped().pidfd.get());
  loop_.CancelTimer(node.mapped().retry);
  node.mapped().callback(ProcessExit{status, clock_.WallNanos()});
}

void Reaper::RequestSweep() {
  if (holds_ > 0) {
    sweep_wanted_ = true;
    return;
  }
  Sweep();
}

void Reaper::Sweep() {
  sweep_wanted_ = false;
  for (;;) {
    siginfo_t info = {};
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) < 0) {
      if (errno == EINTR) continue;
      return;  // ECHILD: no children
    }
    if (info.si_pid == 0) return;
    // A callback may start a runtime call and with it a hold; the rest of the sweep is then owed
    // until that goes.
    if (watched_.count(info.si_pid) != 0) Finish(info.si_pid, StatusOf(info));
    if (holds_ > 0) {
      sweep_wanted_ = true;
      return;
    }
  }
}

Reaper::SweepHold::SweepHold(Reaper* reaper) : reaper_(reaper) { ++reaper_->holds_; }

Reaper::SweepHold::SweepHold(SweepHold&& other) noexcept
    : reaper_(std::exchange(other.reaper_, nullptr)) {}

Reaper::SweepHold& Reaper::SweepHold::operator=(SweepHold&& other) noexcept {
  if (this != &other) {
    Release();
    reaper_ = std::exchange(other.reaper_, nullptr);
  }
  return *this;
}

void Reaper::SweepHold::Release() {
  Reaper* const reaper = std::exchange(reaper_, nullptr);
  if (reaper == nullptr || --reaper->holds_ > 0 || !reaper->sweep_wanted_) return;
  // Posted: whoever releases the hold is in the middle of something.
  reaper->loop_.Post([reaper] {
    if (reaper->holds_ == 0 && reaper->sweep_wanted_) reaper->Sweep();
  });
}

}  // namespace bulwark::shim
