// Time, behind an interface so that tests can move it.
#pragma once

#include <stdint.h>

namespace bulwark::base {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual int64_t WallNanos() const = 0;  // CLOCK_REALTIME, nanoseconds since 1970
  virtual int64_t BootNanos() const = 0;  // CLOCK_BOOTTIME: monotonic, counts suspend
};

// The machine's clock. Never null, lives for ever, thread-safe.
const Clock& SystemClock();

// A clock that only moves when told.
class FakeClock : public Clock {
 public:
  int64_t WallNanos() const override { return wall_ns; }
  int64_t BootNanos() const override { return boot_ns; }
  int64_t wall_ns = 0;
  int64_t boot_ns = 0;
};

}  // namespace bulwark::base
