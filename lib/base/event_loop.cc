#include "lib/base/event_loop.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lib/base/unique_fd.h"

namespace bulwark::base {
namespace {

constexpr size_t kEventsPerTurn = 32;
constexpr uint64_t kWakeKey = 0;  // a watch's key is never 0: its upper half is its generation
constexpr int64_t kNanosPerMilli = 1'000'000;
constexpr int64_t kDelayMaxMs = INT64_MAX / kNanosPerMilli / 2;

int64_t MonotonicNanos() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

struct EventLoop::Impl {
  struct WatchState {
    uint32_t generation = 0;
    FdCallback callback;
  };
  using TimerKey = std::pair<int64_t, TimerId>;  // deadline, then order of creation

  UniqueFd epoll;
  UniqueFd wake;
  std::atomic<bool> stopping{false};

  std::unordered_map<int, WatchState> watches;
  uint32_t last_generation = 0;
  std::map<TimerKey, Task> timers;
  std::unordered_map<TimerId, int64_t> timer_deadlines;
  TimerId last_timer = 0;

  // What epoll_wait returned and is not handled yet: it outlives a turn that Stop() cut short, so
  // that an edge-triggered event is never lost.
  std::array<epoll_event, kEventsPerTurn> ready{};
  size_t ready_next = 0;
  size_t ready_count = 0;
  std::vector<Task> running;  // taken from `posted`; kept between turns for its capacity
  size_t running_next = 0;

  std::mutex mutex;
  std::vector<Task> posted;  // guarded by mutex

  uint64_t KeyFor(int fd, uint32_t generation) const {
    return (static_cast<uint64_t>(generation) << 32) | static_cast<uint32_t>(fd);
  }

  void Wake() {
    const uint64_t one = 1;
    // Fails only when the counter is full, and then the loop is awake already.
    [[maybe_unused]] const ssize_t written = write(wake.get(), &one, sizeof one);
  }

  bool HasBacklog() const { return ready_next < ready_count || running_next < running.size(); }

  int WaitBudget(int timeout_ms) const {
    if (HasBacklog() || stopping.load()) return 0;
    if (timers.empty()) return timeout_ms;
    const int64_t remaining_ns = timers.begin()->first.first - MonotonicNanos();
    if (remaining_ns <= 0) return 0;
    // Rounded up: waking early would spin.
    const int64_t remaining_ms =
        std::min<int64_t>((remaining_ns + kNanosPerMilli - 1) / kNanosPerMilli, INT_MAX);
    return timeout_ms < 0 ? static_cast<int>(remaining_ms)
                          : static_cast<int>(std::min<int64_t>(remaining_ms, timeout_ms));
  }

  Status Wait(int timeout_ms) {
    if (ready_next < ready_count) return OkStatus();
    const int count = epoll_wait(epoll.get(), ready.data(), static_cast<int>(ready.size()),
                                 WaitBudget(timeout_ms));
    if (count < 0 && errno != EINTR) return Error::FromErrno("epoll_wait");
    ready_next = 0;
    ready_count = count < 0 ? 0 : static_cast<size_t>(count);
    return OkStatus();
  }

  void RunReady() {
    while (ready_next < ready_count && !stopping.load()) {
      const epoll_event event = ready[ready_next++];
      if (event.data.u64 == kWakeKey) {
        uint64_t drained = 0;
        [[maybe_unused]] const ssize_t bytes = read(wake.get(), &drained, sizeof drained);
        continue;
      }
      Dispatch(event);
    }
  }

  void Dispatch(const epoll_event& event) {
    const int fd = static_cast<int>(event.data.u64 & 0xffffffffU);
    const auto generation = static_cast<uint32_t>(event.data.u64 >> 32);
    auto it = watches.find(fd);
    // Unwatched, or closed and reused, by an earlier callback of this turn.
    if (it == watches.end() || it->second.generation != generation) return;
    // Held here while it runs: it may unwatch itself, or add watches and so rehash the table.
    FdCallback callback = std::move(it->second.callback);
    callback(event.events);
    it = watches.find(fd);
    if (it != watches.end() && it->second.generation == generation) {
      it->second.callback = std::move(callback);
    }
  }

  void RunTimers() {
    if (timers.empty()) return;
    const int64_t now = MonotonicNanos();
    const TimerId newest = last_timer;  // timers that callbacks add wait for the next turn
    auto it = timers.begin();
    while (it != timers.end() && it->first.first <= now && !stopping.load()) {
      if (it->first.second > newest) {
        ++it;
        continue;
      }
      const TimerKey key = it->first;
      Task task = std::move(it->second);
      timers.erase(it);
      timer_deadlines.erase(key.second);
      task();
      it = timers.upper_bound(key);
    }
  }

  void RunTaken() {
    while (running_next < running.size() && !stopping.load()) {
      Task task = std::move(running[running_next++]);
      task();
    }
  }

  void RunPosted() {
    RunTaken();  // what an earlier turn left
    if (running_next < running.size()) return;
    running.clear();
    running_next = 0;
    {
      const std::lock_guard<std::mutex> lock(mutex);
      running.swap(posted);
    }
    RunTaken();
  }

  Status Turn(int timeout_ms) {
    RETURN_IF_ERROR(Wait(timeout_ms));
    RunReady();
    RunTimers();
    RunPosted();
    return OkStatus();
  }
};

EventLoop::EventLoop(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
EventLoop::~EventLoop() = default;

Result<std::unique_ptr<EventLoop>> EventLoop::Create() {
  auto impl = std::make_unique<Impl>();
  impl->epoll.Reset(epoll_create1(EPOLL_CLOEXEC));
  if (!impl->epoll.is_open()) return Error::FromErrno("epoll_create1");
  impl->wake.Reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!impl->wake.is_open()) return Error::FromErrno("eventfd");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kWakeKey;
  if (epoll_ctl(impl->epoll.get(), EPOLL_CTL_ADD, impl->wake.get(), &event) != 0) {
    return Error::FromErrno("epoll_ctl add wake descriptor");
  }
  return std::unique_ptr<EventLoop>(new EventLoop(std::move(impl)));
}

Status EventLoop::Watch(int fd, uint32_t epoll_events, FdCallback callback) {
  if (impl_->watches.count(fd) != 0) {
    return Error::Make(Code::kAlreadyExists, "watch descriptor {}: watched already", fd);
  }
  if (++impl_->last_generation == 0) ++impl_->last_generation;
  const uint32_t generation = impl_->last_generation;
  epoll_event event{};
  event.events = epoll_events;
  event.data.u64 = impl_->KeyFor(fd, generation);
  if (epoll_ctl(impl_->epoll.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return Error::FromErrno("watch descriptor {}", fd);
  }
  Impl::WatchState& state = impl_->watches[fd];
  state.generation = generation;
  state.callback = std::move(callback);
  return OkStatus();
}

Status EventLoop::Modify(int fd, uint32_t epoll_events) {
  const auto it = impl_->watches.find(fd);
  if (it == impl_->watches.end()) {
    return Error::Make(Code::kNotFound, "modify watch of descriptor {}: not watched", fd);
  }
  epoll_event event{};
  event.events = epoll_events;
  event.data.u64 = impl_->KeyFor(fd, it->second.generation);
  if (epoll_ctl(impl_->epoll.get(), EPOLL_CTL_MOD, fd, &event) != 0) {
    return Error::FromErrno("modify watch of descriptor {}", fd);
  }
  return OkStatus();
}

void EventLoop::Unwatch(int fd) {
  const auto it = impl_->watches.find(fd);
  if (it == impl_->watches.end()) return;
  // The callback's captures may call back into the loop when they are destroyed: take it out first.
  const Impl::WatchState removed = std::move(it->second);
  impl_->watches.erase(it);
  epoll_ctl(impl_->epoll.get(), EPOLL_CTL_DEL, fd, nullptr);
}

EventLoop::TimerId EventLoop::AddTimer(int64_t delay_ms, Task task) {
  const int64_t delay_ns = std::clamp<int64_t>(delay_ms, 0, kDelayMaxMs) * kNanosPerMilli;
  const int64_t deadline = MonotonicNanos() + delay_ns;
  const TimerId id = ++impl_->last_timer;
  impl_->timers.emplace(Impl::TimerKey(deadline, id), std::move(task));
  impl_->timer_deadlines.emplace(id, deadline);
  return id;
}

void EventLoop::CancelTimer(TimerId id) {
  const auto known = impl_->timer_deadlines.find(id);
  if (known == impl_->timer_deadlines.end()) return;
  const auto it = impl_->timers.find(Impl::TimerKey(known->second, id));
  const Task removed = std::move(it->second);  // destroyed last, as in Unwatch
  impl_->timers.erase(it);
  impl_->timer_deadlines.erase(known);
}

void EventLoop::Post(Task task) {
  bool was_empty = false;
  {
    const std::lock_guard<std::mutex> lock(impl_->mutex);
    was_empty = impl_->posted.empty();
    impl_->posted.push_back(std::move(task));
  }
  if (was_empty) impl_->Wake();
}

Status EventLoop::Run() {
  while (!impl_->stopping.load()) RETURN_IF_ERROR(impl_->Turn(-1));
  impl_->stopping.store(false);
  return OkStatus();
}

void EventLoop::Stop() {
  impl_->stopping.store(true);
  impl_->Wake();
}

Status EventLoop::RunOnce(int timeout_ms) {
  RETURN_IF_ERROR(impl_->Turn(timeout_ms));
  impl_->stopping.store(false);
  return OkStatus();
}

}  // namespace bulwark::base
