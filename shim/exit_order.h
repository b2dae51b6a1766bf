// Keeps the order of a container's exits: the init's exit is told last, after those of all execs
// and after the answer to its own start (containerd's event contract: create < start < exit <
// delete, init exit last). The execs of a container without its own pid namespace outlive its init
// for a moment, and an exec whose runtime call is still in flight has not even a pid; so the init's
// exit is held until none is left. Knows nothing of pids, events or requests. Pure.
#pragma once

#include <functional>
#include <optional>
#include <utility>

#include "shim/reaper.h"

namespace bulwark::shim {

class ExitOrder {
 public:
  // `tell_init_exit` runs once, from whichever call removes the last obstacle.
  explicit ExitOrder(std::function<void(const ProcessExit&)> tell_init_exit)
      : tell_init_exit_(std::move(tell_init_exit)) {}

  // A runtime call to start the init is in flight, and has ended.
  void InitStartBegan() { init_start_in_flight_ = true; }
  void InitStartEnded() {
    init_start_in_flight_ = false;
    TellIfDue();
  }
  // From the request to start an exec until it failed to start or its exit has been told.
  void ExecBegan() { ++execs_; }
  void ExecEnded() {
    --execs_;
    TellIfDue();
  }
  void InitExited(const ProcessExit& exit) {
    init_exit_ = exit;
    TellIfDue();
  }

  // The init is dead, whether told or not: no exec may start any more.
  bool has_init_exited() const { return init_exit_.has_value(); }
  bool is_told() const { return tell_init_exit_ == nullptr; }

 private:
  void TellIfDue() {
    if (!init_exit_ || init_start_in_flight_ || execs_ > 0 || is_told()) return;
    std::exchange(tell_init_exit_, nullptr)(*init_exit_);
  }

  std::function<void(const ProcessExit&)> tell_init_exit_;
  std::optional<ProcessExit> init_exit_;
  int execs_ = 0;
  bool init_start_in_flight_ = false;
};

}  // namespace bulwark::shim
