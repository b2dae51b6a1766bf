#include "shim/os/cgroup_warm_up.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bulwark::shim {
namespace {

class FixedClock : public base::Clock {
 public:
  int64_t WallNanos() const override { return now_ns; }
  int64_t BootNanos() const override { return now_ns; }
  int64_t now_ns = 1'000'000'000;
};

int ReapOne() {
  int status = -1;
  return waitpid(-1, &status, 0) > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(CgroupWarmUpTest, OneChildAtATimeThatEndsByItself) {
  FixedClock clock;
  CgroupWarmUp warm_up(clock);
  warm_up.Begin();
  warm_up.Begin();
  EXPECT_EQ(ReapOne(), 0);
  EXPECT_EQ(waitpid(-1, nullptr, 0), -1);
  EXPECT_EQ(errno, ECHILD);
  clock.now_ns += 1'000'000'000;
  warm_up.Begin();
  EXPECT_EQ(ReapOne(), 0);
}

TEST(CgroupWarmUpTest, TheChildHoldsNoPipeOpen) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  FixedClock clock;
  CgroupWarmUp warm_up(clock);
  warm_up.Begin();
  close(ends[1]);
  char byte = 0;
  EXPECT_EQ(read(ends[0], &byte, 1), 0);
  EXPECT_EQ(ReapOne(), 0);
  close(ends[0]);
}

}  // namespace
}  // namespace bulwark::shim
