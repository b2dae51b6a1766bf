// Counts work that is finished by another thread's callback, so that its owner can wait for the last before it goes away.
#pragma once

#include <stddef.h>

#include <condition_variable>
#include <mutex>

namespace bulwark::api {

class PendingCount {
 public:
  void Add() {
    const std::lock_guard lock(mutex_);
    ++count_;
  }
  // Notifies under the lock: the waiter may destroy this as soon as it is let go.
  void Remove() {
    const std::lock_guard lock(mutex_);
    if (--count_ == 0) none_.notify_all();
  }
  void WaitForNone() {
    std::unique_lock lock(mutex_);
    none_.wait(lock, [this] { return count_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable none_;
  size_t count_ = 0;  // guarded by mutex_
};

}  // namespace bulwark::api
