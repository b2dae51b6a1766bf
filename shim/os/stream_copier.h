// Copies one direction of a process's stdio on the event loop: container pipe → client's fifo or
// file, client's fifo → container pipe, console master ↔ fifo. Uses splice(2) where the kernel can,
// else one small buffer shared by all copiers. Never blocks; when the sink is full, the source is
// left alone until the sink takes more; when the sink fails, the source is drained to nowhere, so
// that the container does not hang (containerd issue 12462). Thread: the loop's. Precondition:
// SIGPIPE is ignored.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "lib/base/event_loop.h"
#include "lib/base/unique_fd.h"

namespace bulwark::shim {

class StreamCopier {
 public:
  struct Source {
    base::UniqueFd fd;  // non-blocking
    // A pty master: EIO means only that no slave is open now, so it is not the end, and readiness
    // is watched edge-triggered (a hung-up master is level-ready for ever).
    bool is_terminal = false;
  };
  struct Sink {
    base::UniqueFd fd;          // non-blocking
    // A read end of the fifo `fd` writes to, held so that a vanished reader gives no EPIPE.
    base::UniqueFd keep_alive;
    bool is_terminal = false;
    // Whether the source is to be drained when writing fails; otherwise (stdin) a failure ends the
    // copy.
    bool drains_on_error = true;
  };

  // `on_done` is called once, when the copy has ended by itself, after both sides were closed; it
  // may destroy the copier.
  StreamCopier(base::EventLoop& loop, Source source, Sink sink, std::function<void()> on_done);
  ~StreamCopier();
  StreamCopier(const StreamCopier&) = delete;
  StreamCopier& operator=(const StreamCopier&) = delete;

  void Start();
  // From now on "nothing to read at this moment" is the end: for a terminal whose process has
  // exited. May finish, and call `on_done`, before it returns.
  void FinishWhenEmpty();
  // Closes both sides at once without calling `on_done`.
  void Close();

 private:
  enum class Step { kMoved, kSourceEmpty, kSinkFull, kEnd };

  void Pump();
  Step MoveOnce();
  Step Splice();
  Step ReadAndWrite();
  Step WritePending();
  Step SinkFailed();
  Step AfterEmptyRead(int read_errno);
  void WaitForSource();
  void WaitForSink();
  void PumpSoon();
  void StopWaiting();
  void Finish();

  base::EventLoop& loop_;
  Source source_;
  Sink sink_;
  std::function<void()> on_done_;
  std::string pending_;  // read, but not taken by the sink yet; at most one buffer
  bool can_splice_;
  bool is_discarding_ = false;
  bool finish_when_empty_ = false;
  bool waits_for_source_ = false;
  bool waits_for_sink_ = false;
  // Set while a Pump is posted, which runs only if it is still there.
  std::shared_ptr<bool> pump_token_;
};

}  // namespace bulwark::shim
