// How many decisions went which way since the daemon started.
#pragma once

#include <stdint.h>

#include <atomic>

namespace bulwark::admission {

struct Counters {
  uint64_t allowed = 0;
  uint64_t denied = 0;
};

class AtomicCounters {
 public:
  void Count(bool allowed) { (allowed ? allowed_ : denied_).fetch_add(1, std::memory_order_relaxed); }
  Counters Now() const { return {allowed_.load(std::memory_order_relaxed), denied_.load(std::memory_order_relaxed)}; }

 private:
  std::atomic<uint64_t> allowed_ = 0;
  std::atomic<uint64_t> denied_ = 0;
};

}  // namespace bulwark::admission
