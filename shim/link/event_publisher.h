// Publishes task events to containerd, in order and reliably: one queue, one event in flight, the
// head is sent again when the transport failed. Where the stock publisher gives up after about 20 s
// and reorders on retry (containerd#6771), this one keeps everything until containerd is back,
// bounded by memory alone.
//
// An event is sent again only when the call ended without an answer from containerd (connection
// broken, or no answer in time), since clients such as Docker react to duplicates
// (containerd#4769). An answer that refuses the event drops it.
//
// Topics and their messages:
//   /tasks/create        TaskCreate          /tasks/exec-added    TaskExecAdded
//   /tasks/start         TaskStart           /tasks/exec-started  TaskExecStarted
//   /tasks/exit          TaskExit            /tasks/paused        TaskPaused
//   /tasks/delete        TaskDelete          /tasks/resumed       TaskResumed
//   /tasks/oom           TaskOOM
//
// Wire: ttrpc, service containerd.services.events.ttrpc.v1.Events, method Forward, one
// ForwardRequest each, with metadata containerd-namespace-ttrpc. The Any's type_url is the
// message's full name, "containerd.events.TaskCreate". Thread: the loop's. Nothing blocks.
// Publishing order is the order of the Publish calls, for all containers together.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "containerd/events.pb.h"
#include "lib/base/clock.h"
#include "lib/base/event_loop.h"
#include "shim/link/connection.h"

namespace bulwark::shim {

struct EventPublisherOptions {
  std::string address;  // TTRPC_ADDRESS: a path, "unix://" allowed. Empty: events are dropped.
  std::string containerd_namespace;
  size_t queue_bytes_max =
      4 * 1024 * 1024;  // beyond it the oldest event is dropped, counted and logged
  int64_t call_timeout_ms = 10'000;
  int64_t backoff_first_ms = 10;  // doubled after each failure
  int64_t backoff_max_ms = 1'000;
};

class EventPublisher {
 public:
  EventPublisher(base::EventLoop& loop, const base::Clock& clock, EventPublisherOptions options);
  // Queued events are dropped: Drain first.
  ~EventPublisher();
  EventPublisher(const EventPublisher&) = delete;
  EventPublisher& operator=(const EventPublisher&) = delete;

  // Queues the event, stamped with the time of the call.
  void Publish(const containerd::events::TaskCreate& event);
  void Publish(const containerd::events::TaskStart& event);
  void Publish(const containerd::events::TaskExit& event);
  void Publish(const containerd::events::TaskDelete& event);
  void Publish(const containerd::events::TaskOOM& event);
  void Publish(const containerd::events::TaskExecAdded& event);
  void Publish(const containerd::events::TaskExecStarted& event);
  void Publish(const containerd::events::TaskPaused& event);
  void Publish(const containerd::events::TaskResumed& event);

  // Calls `done` once, when the queue is empty or after `timeout_ms`, whichever is first; never
  // before Drain returns. What is still queued goes on being sent while the publisher lives. A
  // second Drain replaces the first's callback.
  void Drain(int64_t timeout_ms, std::function<void()> done);

  size_t queued() const { return queue_.size(); }
  uint64_t dropped() const { return dropped_; }  // refused by containerd, or by lack of memory

 private:
  void Enqueue(std::string_view topic, std::string_view message_name, std::string value);
  void SendHead();
  void OnAnswer(base::Result<std::string> answer);
  void RetryLater();
  void PopHead();
  void DropOverflow();
  void FinishDrainIfIdle();
  void RunDrainCallback();

  base::EventLoop& loop_;
  const base::Clock& clock_;
  EventPublisherOptions options_;
  Connection connection_;
  std::deque<std::string> queue_;  // serialised ForwardRequests
  size_t queue_bytes_ = 0;
  bool in_flight_ = false;
  int head_timeouts_ = 0;
  int64_t backoff_ms_ = 0;
  base::EventLoop::TimerId retry_timer_ = 0;
  base::EventLoop::TimerId drain_timer_ = 0;
  std::function<void()> drained_;
  uint64_t dropped_ = 0;
  std::shared_ptr<bool> alive_;  // posted tasks hold it weakly
};

}  // namespace bulwark::shim
