// Takes the wait for an RCU grace period out of starting processes. The kernel moves a process to
// another cgroup under a lock (cgroup_threadgroup_rwsem) whose first taker after a quiet moment
// waits for a grace period, 8 to 16 ms; moves that follow closely do not (rcu_sync_enter() in
// kernel/rcu/sync.c). The OCI runtime makes such a move in every create and every exec. Here a child
// makes one earlier that changes nothing, so that the wait passes while the gate decides and the
// runtime starts up. Thread: the loop's.
#pragma once

#include <stdint.h>

#include "lib/base/clock.h"

namespace bulwark::shim {

class CgroupWarmUp {
 public:
  // `clock` must outlive it.
  explicit CgroupWarmUp(const base::Clock& clock) : clock_(clock) {}

  // A create or an exec is on its way. Returns at once; a child, left to the reaper's sweep, keeps
  // moves cheap for some 25 ms. Does nothing while the last child is at it. Failure only costs the
  // wait, so there is nothing to report.
  void Begin();

 private:
  const base::Clock& clock_;
  int64_t begun_boot_ns_ = 0;
};

}  // namespace bulwark::shim
