// A fixed number of threads that run queued work. Decisions wait for containerd and for the disk; they do it here, so that
// the gate's loop never waits.
#pragma once

#include <stddef.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace bulwark::api {

class WorkerPool {
 public:
  explicit WorkerPool(size_t threads, size_t queue_depth_max);
  // Finishes what is queued, then joins.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // False when the queue is full or the pool is ending: the work is not run then. Thread-safe.
  [[nodiscard]] bool Submit(std::function<void()> work);

 private:
  void Run();

  const size_t queue_depth_max_;
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::function<void()>> queue_;  // guarded by mutex_
  bool ending_ = false;                      // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace bulwark::api
