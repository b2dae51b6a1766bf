#include "shim/os/logger_process.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "lib/base/logging.h"
#include "shim/os/client_streams.h"

namespace bulwark::shim {
namespace {

using base::Code;
using base::Error;
using base::Result;
using base::Status;

constexpr int64_t kReadyMsMax = 10'000;
constexpr int64_t kGraceMs = 500;      // to read on to EOF and end by itself
constexpr int64_t kTermMsMax = 12'000;  // as containerd's shim waits

}  // namespace

LoggerProcess::LoggerProcess(base::EventLoop& loop, bool must_report)
    : loop_(loop), must_report_(must_report) {}

LoggerProcess::~LoggerProcess() {
  if (process_.pidfd.is_open()) SendSignal(SIGTERM);
}

Result<LoggerProcess::Started> LoggerProcess::Start(base::EventLoop& loop, const StdioUri& uri,
                                                    const std::string& id,
                                                    const std::string& containerd_namespace) {
  ASSIGN_OR_RETURN(Pipe out, MakePipe());
  ASSIGN_OR_RETURN(Pipe err, MakePipe());
  ASSIGN_OR_RETURN(Pipe report, MakePipe());
  RETURN_IF_ERROR(SetNonBlocking(report.read_end));

  base::SpawnOptions options;
  options.argv.push_back(uri.path);
  options.argv.insert(options.argv.end(), uri.logger_arguments.begin(), uri.logger_arguments.end());
  options.environment = {"CONTAINER_ID=" + id, "CONTAINER_NAMESPACE=" + containerd_namespace};
  options.descriptors = {
      {out.read_end.get(), 3}, {err.read_end.get(), 4}, {report.write_end.get(), 5}};
  auto spawned = base::Spawn(options);
  if (!spawned) return std::move(spawned).error().Wrap("start logger {}", uri.path);

  Started started;
  started.process.reset(new LoggerProcess(loop, uri.logger_must_report));
  started.process->process_ = *std::move(spawned);
  started.process->report_ = std::move(report.read_end);
  started.process->WatchReport();
  started.stdout_writer = std::move(out.write_end);
  started.stderr_writer = std::move(err.write_end);
  return started;
}

void LoggerProcess::WatchReport() {
  // The loop's functions own a reference: the logger is reaped even after everybody else forgot it.
  const auto self = shared_from_this();
  auto status = loop_.Watch(process_.pidfd.get(), EPOLLIN, [self](uint32_t) { self->OnExit(); });
  if (!status) base::LogWarn("cannot watch logger", {{"error", status.error().message()}});
  status = loop_.Watch(report_.get(), EPOLLIN, [self](uint32_t) { self->OnReport(); });
  if (!status) return Settle(std::move(status));
  ready_timer_ = loop_.AddTimer(kReadyMsMax, [self] {
    self->ready_timer_ = 0;
    self->Settle(Error(Code::kDeadlineExceeded, "wait for logger: not ready after 10 s"));
  });
}

void LoggerProcess::OnReport() {
  char byte = 0;
  const ssize_t got = read(report_.get(), &byte, 1);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got < 0) return Settle(Error::FromErrno("read from logger"));
  if (got == 0 && must_report_) {
    return Settle(
        Error(Code::kFailedPrecondition, "wait for logger: it closed descriptor 5 without a byte"));
  }
  Settle(base::OkStatus());
}

void LoggerProcess::Settle(Status status) {
  if (std::exchange(is_settled_, true)) return;
  const auto self = shared_from_this();  // the watch may hold the last reference
  if (ready_timer_ != 0) loop_.CancelTimer(std::exchange(ready_timer_, 0));
  if (report_.is_open()) loop_.Unwatch(report_.get());
  report_.Reset();
  outcome_ = std::move(status);
  if (const auto on_ready = std::exchange(on_ready_, nullptr); on_ready) on_ready(outcome_);
}

void LoggerProcess::WhenReady(std::function<void(Status)> done) {
  if (is_settled_) return done(outcome_);
  on_ready_ = std::move(done);
}

void LoggerProcess::Stop() {
  on_ready_ = nullptr;
  const auto self = shared_from_this();
  Settle(Error(Code::kCancelled, "wait for logger: closed"));
  if (!process_.pidfd.is_open() || stop_timer_ != 0) return;
  stop_timer_ = loop_.AddTimer(kGraceMs, [self] {
    self->SendSignal(SIGTERM);
    self->stop_timer_ = self->loop_.AddTimer(kTermMsMax, [self] {
      self->stop_timer_ = 0;
      self->SendSignal(SIGKILL);
    });
  });
}

void LoggerProcess::OnExit() {
  const auto self = shared_from_this();
  siginfo_t info{};
  // ECHILD: the shim's sweep of orphans was faster.
  waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(process_.pidfd.get()), &info,
         WEXITED | WNOHANG);
  loop_.Unwatch(process_.pidfd.get());
  process_.pidfd.Reset();
  if (stop_timer_ != 0) loop_.CancelTimer(std::exchange(stop_timer_, 0));
}

bool LoggerProcess::SendSignal(int signal_number) const {
  return syscall(SYS_pidfd_send_signal, process_.pidfd.get(), signal_number, nullptr, 0) == 0;
}

}  // namespace bulwark::shim
