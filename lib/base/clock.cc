#include "lib/base/clock.h"

#include <time.h>

namespace bulwark::base {
namespace {

int64_t Read(clockid_t id) {
  timespec now{};
  clock_gettime(id, &now);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

class RealClock : public Clock {
 public:
  int64_t WallNanos() const override { return Read(CLOCK_REALTIME); }
  int64_t BootNanos() const override { return Read(CLOCK_BOOTTIME); }
};

}  // namespace

const Clock& SystemClock() {
  static const RealClock clock;
  return clock;
}

}  // namespace bulwark::base
