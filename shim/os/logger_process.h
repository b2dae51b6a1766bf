// The logger of binary:// and binary-v2:// (containerd core/runtime/v2/logging): a program that
// reads a process's stdout from descriptor 3 and its stderr from descriptor 4, and tells on
// descriptor 5 that it is ready. Its environment is CONTAINER_ID and CONTAINER_NAMESPACE, nothing
// else.
// Thread: the loop's. Nothing blocks. The logger is a child of ours; it may be reaped here or by
// the shim's orphan sweep.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "lib/base/event_loop.h"
#include "lib/base/result.h"
#include "lib/base/spawn.h"
#include "lib/base/unique_fd.h"
#include "shim/os/stdio_uri.h"

namespace bulwark::shim {

class LoggerProcess : public std::enable_shared_from_this<LoggerProcess> {
 public:
  struct Started;

  // Starts the logger of `uri`. kNotFound if there is no such program.
  static base::Result<Started> Start(base::EventLoop& loop, const StdioUri& uri,
                                     const std::string& id,
                                     const std::string& containerd_namespace);
  // Sends SIGTERM if the logger still runs: happens only when the loop itself goes away.
  ~LoggerProcess();
  LoggerProcess(const LoggerProcess&) = delete;
  LoggerProcess& operator=(const LoggerProcess&) = delete;

  // Calls `done` once: OK when the logger has written a byte or, with binary://, closed descriptor
  // 5.
  void WhenReady(std::function<void(base::Status)> done);

  // Lets go of it: the logger ends by itself at EOF; else it gets SIGTERM after half a second,
  // SIGKILL 12 s later. Goes on in the background, and keeps the object alive until then.
  // `WhenReady`'s function is not called any more.
  void Stop();

 private:
  LoggerProcess(base::EventLoop& loop, bool must_report);
  void WatchReport();
  void OnReport();
  void Settle(base::Status status);
  void OnExit();
  bool SendSignal(int signal_number) const;

  base::EventLoop& loop_;
  const bool must_report_;
  base::SpawnedProcess process_;
  base::UniqueFd report_;
  bool is_settled_ = false;
  base::Status outcome_;
  std::function<void(base::Status)> on_ready_;
  base::EventLoop::TimerId ready_timer_ = 0;
  base::EventLoop::TimerId stop_timer_ = 0;
};

struct LoggerProcess::Started {
  std::shared_ptr<LoggerProcess> process;
  base::UniqueFd stdout_writer;  // for the container, or for the copier of a terminal
  base::UniqueFd stderr_writer;
};

}  // namespace bulwark::shim
