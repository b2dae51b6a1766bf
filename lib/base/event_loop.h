// One thread's event loop over epoll: descriptors, timers, functions posted by other threads. Used by the shim (its only
// loop) and by the daemon's gate server. It knows five kernel objects and nothing of what they carry.
//
// Thread: every method is for the loop's own thread, except Post() and Stop(), which any thread may call.
// Callbacks may add and remove watches and timers, their own included.
#pragma once

#include <stdint.h>

#include <functional>
#include <memory>

#include "lib/base/result.h"

namespace bulwark::base {

class EventLoop {
 public:
  using FdCallback = std::function<void(uint32_t epoll_events)>;
  using Task = std::function<void()>;
  using TimerId = uint64_t;  // 0 is never used

  static Result<std::unique_ptr<EventLoop>> Create();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Watches `fd` (not owned; unwatch before closing it) for EPOLLIN, EPOLLOUT… (level-triggered unless EPOLLET is
  // given). kAlreadyExists if it is watched.
  Status Watch(int fd, uint32_t epoll_events, FdCallback callback);
  // Changes the interest set. kNotFound if it is not watched.
  Status Modify(int fd, uint32_t epoll_events);
  // No callback for `fd` runs after this returns. Unknown descriptors are ignored.
  void Unwatch(int fd);

  // Runs `task` once, at least `delay_ms` from now.
  TimerId AddTimer(int64_t delay_ms, Task task);
  // Unknown and already fired ids are ignored.
  void CancelTimer(TimerId id);

  // Queues `task` to run on the loop's thread, after the callbacks that are due. Thread-safe.
  void Post(Task task);

  // Runs until Stop(). Returns an error only if epoll itself fails.
  Status Run();
  // Makes Run() return after the current callback. Thread-safe, async-signal-unsafe.
  void Stop();
  // One turn: waits at most `timeout_ms` (-1: until something happens) and runs what is due. For tests.
  Status RunOnce(int timeout_ms);

 private:
  struct Impl;
  explicit EventLoop(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace bulwark::base
