#include "shim/command/shim_cgroup.h"

#include <gtest/gtest.h>

namespace bulwark::shim {
namespace {

TEST(ShimCgroup, FindsTheMountsOfVersionOneHierarchies) {
  const std::vector<std::string> expected = {"/sys/fs/cgroup/memory", "/sys/fs/cgroup/cpu,cpuacct"};
  EXPECT_EQ(CgroupV1MountPoints(
                "25 30 0:23 / /sys rw,nosuid shared:7 - sysfs sysfs rw\n"
                "35 25 0:30 / /sys/fs/cgroup/memory rw shared:16 - cgroup cgroup rw,memory\n"
                "36 25 0:31 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
                "37 25 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
                "malformed"),
            expected);
  EXPECT_TRUE(CgroupV1MountPoints("").empty());
}

TEST(ShimCgroup, RefusesPathsThatLeaveTheHierarchy) {
  for (const char* bad : {"", "..", "/a/../../b", "a/.."}) {
    EXPECT_EQ(JoinShimCgroup(1, bad, "/sys/fs/cgroup").error().code(), base::Code::kInvalidArgument)
        << bad;
  }
}

TEST(ShimCgroup, SaysWhenThereIsNoSuchCgroup) {
  EXPECT_EQ(JoinShimCgroup(1, "/bulwark-test-no-such-cgroup", "/sys/fs/cgroup").error().code(),
            base::Code::kNotFound);
}

}  // namespace
}  // namespace bulwark::shim
