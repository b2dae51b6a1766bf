#include "shim/process.h"

#include <utility>

namespace bulwark::shim {
namespace {

base::Error Refusal(std::string_view action, Process::State state) {
  return base::Error::Make(base::Code::kUnknown, "cannot {} a {} process", action,
                           StateName(state));
}

}  // namespace

std::string_view StateName(Process::State state) {
  switch (state) {
    case Process::State::kCreated:
      return "created";
    case Process::State::kStarting:
      return "starting";
    case Process::State::kRunning:
      return "running";
    case Process::State::kPausing:
      return "pausing";
    case Process::State::kPaused:
      return "paused";
    case Process::State::kStopped:
      return "stopped";
  }
  return "unknown";
}

containerd::task::TaskStatus Process::wire_status() const {
  switch (state_) {
    case State::kCreated:
    case State::kStarting:
      return containerd::task::CREATED;
    case State::kRunning:
      return containerd::task::RUNNING;
    case State::kPausing:
      return containerd::task::PAUSING;
    case State::kPaused:
      return containerd::task::PAUSED;
    case State::kStopped:
      return containerd::task::STOPPED;
  }
  return containerd::task::UNKNOWN;
}

base::Status Process::BeginStart() {
  if (state_ == State::kStopped) {
    return base::Error(base::Code::kFailedPrecondition, "cannot start a stopped process");
  }
  if (state_ != State::kCreated) return Refusal("start", state_);
  state_ = State::kStarting;
  return base::OkStatus();
}

void Process::Started() {
  if (state_ == State::kStarting) state_ = State::kRunning;
}

void Process::StartFailed(int64_t now_ns) {
  if (state_ != State::kStarting) return;
  state_ = State::kCreated;
  if (!is_init()) Exited(ProcessExit{kUnknownExitStatus, now_ns});
}

base::Status Process::BeginPause() {
  if (state_ != State::kRunning) return Refusal("pause", state_);
  state_ = State::kPausing;
  return base::OkStatus();
}

void Process::PauseEnded(bool is_paused) {
  if (state_ == State::kPausing) state_ = is_paused ? State::kPaused : State::kRunning;
}

base::Status Process::CheckResume() const {
  if (state_ != State::kPaused) return Refusal("resume", state_);
  return base::OkStatus();
}

void Process::Resumed() {
  if (state_ == State::kPaused) state_ = State::kRunning;
}

base::Status Process::CheckDelete() const {
  if (state_ == State::kCreated || state_ == State::kStopped) return base::OkStatus();
  return Refusal("delete", state_ == State::kStarting ? State::kRunning : state_);
}

void Process::Exited(const ProcessExit& exit) {
  if (state_ == State::kStopped) return;
  state_ = State::kStopped;
  exit_ = exit;
  for (const auto& [number, waiter] : std::exchange(waiters_, {})) waiter(exit_);
}

uint64_t Process::WaitExit(ExitCallback callback) {
  const uint64_t number = ++last_waiter_;
  if (state_ == State::kStopped) {
    callback(exit_);
  } else {
    waiters_.emplace(number, std::move(callback));
  }
  return number;
}

void Process::StartSettled() {
  for (const auto& callback : std::exchange(settled_, {})) callback();
}

void Process::OpenIo(base::EventLoop& loop, std::function<void(base::Status)> done) {
  auto opened = Stdio::Open(loop, io_request);
  if (!opened) {
    return done(base::Error::Make(base::Code::kUnknown, "failed to create {} process I/O: {}",
                                  is_init() ? "init" : "exec", opened.error().message()));
  }
  io = std::move(*opened);
  if (is_stdin_closed_) io->CloseStdin();
  io->WhenReady(std::move(done));
}

void Process::CloseStdin() {
  is_stdin_closed_ = true;
  if (io != nullptr) io->CloseStdin();
}

}  // namespace bulwark::shim
