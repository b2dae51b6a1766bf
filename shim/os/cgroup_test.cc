#include "shim/os/cgroup_path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/wait.h>

#include "containerd/cgroups_v1.pb.h"
#include "containerd/cgroups_v2.pb.h"
#include "lib/base/file_io.h"
#include "shim/os/cgroup_stats.h"
#include "shim/os/test_support.h"

namespace bulwark::shim {
namespace {

using ::testing::ElementsAre;
using testing::TempDir;

class CgroupTest : public ::testing::Test {
 protected:
  void File(const std::string& name, const std::string& text) {
    const std::string path = dir_ / name;
    ASSERT_TRUE(base::MakeDirectories(path.substr(0, path.rfind('/')), 0755));
    ASSERT_TRUE(base::ReplaceFile(path, text, 0644, false));
  }
  TempDir dir_;
};

TEST_F(CgroupTest, TheUnifiedPathIsTakenOnVersionTwo) {
  const auto cgroup = ParseCgroup("0::/kubepods/pod1/c1\n", CgroupMode::kV2, "/r");
  ASSERT_TRUE(cgroup);
  EXPECT_EQ(cgroup->unified_directory, "/r/kubepods/pod1/c1");
  EXPECT_EQ(*cgroup->DirectoryOf("memory"), "/r/kubepods/pod1/c1");
  EXPECT_EQ(cgroup->path, "/kubepods/pod1/c1");
}

TEST_F(CgroupTest, EachControllerHasItsDirectoryOnVersionOne) {
  File("memory/x", "");
  File("cpu,cpuacct/x", "");
  const auto cgroup = ParseCgroup(
      "9:name=systemd:/s\n4:memory:/a/b\n2:cpu,cpuacct:/a:c\n1:pids:/\n0::/unified\n",
      CgroupMode::kV1, dir_.path());
  ASSERT_TRUE(cgroup);
  EXPECT_EQ(*cgroup->DirectoryOf("memory"), dir_ / "memory/a/b");
  EXPECT_EQ(*cgroup->DirectoryOf("cpuacct"), dir_ / "cpu,cpuacct/a:c");
  EXPECT_EQ(cgroup->DirectoryOf("name=systemd"), nullptr);
  EXPECT_EQ(cgroup->path, "/a/b");
  EXPECT_TRUE(cgroup->unified_directory.empty());
}

TEST_F(CgroupTest, WhatLiesOutsideIsRefused) {
  for (const char* text : {"0::/../other\n", "0::/..\n", "0::relative\n", "0::\n", "junk\n", ""}) {
    EXPECT_FALSE(ParseCgroup(text, CgroupMode::kV2, "/r")) << text;
  }
  EXPECT_TRUE(ParseCgroup("0::/a..b/..c\n", CgroupMode::kV2, "/r"));
}

TEST_F(CgroupTest, ProcessesAreCollectedFromAllLevelsOnce) {
  File("c/cgroup.procs", "12\n7\n");
  File("c/sub/cgroup.procs", "7\n30\n");
  File("c/sub/deep/cgroup.procs", "1\n");
  Cgroup cgroup;
  cgroup.unified_directory = dir_ / "c";
  EXPECT_THAT(*ProcessesIn(cgroup), ElementsAre(1, 7, 12, 30));
  cgroup.unified_directory = dir_ / "gone";
  EXPECT_TRUE(ProcessesIn(cgroup)->empty());
}

TEST_F(CgroupTest, ControllersAreEnabledOnAllAncestorsButNotOnTheCgroupItself) {
  File("cgroup.controllers", "cpu memory pids\n");
  File("cgroup.subtree_control", "");
  File("a/cgroup.subtree_control", "");
  File("a/b/cgroup.subtree_control", "");
  const auto cgroup = ParseCgroup("0::/a/b\n", CgroupMode::kV2, dir_.path());
  ASSERT_TRUE(EnableControllers(*cgroup, dir_.path()));
  EXPECT_EQ(*base::ReadFile(dir_ / "cgroup.subtree_control", 100), "+cpu +memory +pids");
  EXPECT_EQ(*base::ReadFile(dir_ / "a/cgroup.subtree_control", 100), "+cpu +memory +pids");
  EXPECT_EQ(*base::ReadFile(dir_ / "a/b/cgroup.subtree_control", 100), "");

  // One that refuses is told of, and does not keep the ones below it from their controllers.
  unlink((dir_ / "cgroup.subtree_control").c_str());
  File("a/cgroup.subtree_control", "");
  EXPECT_EQ(EnableControllers(*cgroup, dir_.path()).error().code(), base::Code::kNotFound);
  EXPECT_EQ(*base::ReadFile(dir_ / "a/cgroup.subtree_control", 100), "+cpu +memory +pids");
}

TEST_F(CgroupTest, VersionTwoMetricsHaveTheKernelsNumbers) {
  File("c/pids.current", "5\n");
  File("c/pids.max", "max\n");
  File("c/cpu.stat", "usage_usec 100\nuser_usec 60\nsystem_usec 40\nnr_periods 2\nunknown 9\n");
  File("c/memory.stat", "anon 4096\nfile 8192\ninactive_file 2048\nthp_collapse_alloc 3\nbad x\n");
  File("c/memory.current", "20480\n");
  File("c/memory.max", "max\n");
  File("c/memory.events", "low 0\nhigh 1\nmax 2\noom 3\noom_kill 4\noom_group_kill 5\n");
  File("c/io.stat",
       "8:16 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n254:0 rbytes=7\njunk\n");
  Cgroup cgroup;
  cgroup.unified_directory = dir_ / "c";
  const auto read = ReadMetrics(cgroup);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->type_url, "io.containerd.cgroups.v2.Metrics");
  ::io::containerd::cgroups::v2::Metrics metrics;
  ASSERT_TRUE(metrics.ParseFromString(read->value));
  EXPECT_EQ(metrics.pids().current(), 5U);
  EXPECT_EQ(metrics.pids().limit(), UINT64_MAX);
  EXPECT_EQ(metrics.cpu().system_usec(), 40U);
  EXPECT_EQ(metrics.memory().inactive_file(), 2048U);
  EXPECT_EQ(metrics.memory().usage(), 20480U);
  EXPECT_EQ(metrics.memory().usage_limit(), UINT64_MAX);
  EXPECT_EQ(metrics.memory_events().oom_kill(), 4U);
  ASSERT_EQ(metrics.io().usage_size(), 2);
  EXPECT_EQ(metrics.io().usage(0).minor(), 16U);
  EXPECT_EQ(metrics.io().usage(0).wios(), 2U);
}

TEST_F(CgroupTest, VersionOneMetricsHaveTheKernelsNumbers) {
  File("cpuacct/c/cpuacct.usage", "1000\n");
  File("cpuacct/c/cpuacct.usage_percpu", "600 400 \n");
  File("cpuacct/c/cpuacct.stat", "user 2\nsystem 1\n");
  File("cpu/c/cpu.stat", "nr_periods 3\nnr_throttled 1\nthrottled_time 77\n");
  File("memory/c/memory.stat",
       "cache 1\nrss 2\npgpgin 3\nhierarchical_memsw_limit 4\ntotal_rss 5\n");
  File("memory/c/memory.usage_in_bytes", "100\n");
  File("memory/c/memory.limit_in_bytes", "200\n");
  File("memory/c/memory.memsw.failcnt", "6\n");
  File("memory/c/memory.oom_control", "oom_kill_disable 0\nunder_oom 1\noom_kill 2\n");
  File("pids/c/pids.current", "4\n");
  File("pids/c/pids.max", "max\n");
  File("blkio/c/blkio.throttle.io_serviced", "8:0 Read 3\n8:0 Write 4\nTotal 7\n");
  File("hugetlb/c/hugetlb.2MB.limit_in_bytes", "9\n");
  File("hugetlb/c/hugetlb.2MB.usage_in_bytes", "8\n");
  File("hugetlb/c/hugetlb.2MB.rsvd.limit_in_bytes", "1\n");
  const auto cgroup = ParseCgroup(
      "1:cpu:/c\n2:cpuacct:/c\n3:memory:/c\n4:pids:/c\n5:blkio:/c\n6:hugetlb:/c\n", CgroupMode::kV1,
      dir_.path());
  ASSERT_TRUE(cgroup);
  const auto read = ReadMetrics(*cgroup);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->type_url, "io.containerd.cgroups.v1.Metrics");
  ::io::containerd::cgroups::v1::Metrics metrics;
  ASSERT_TRUE(metrics.ParseFromString(read->value));
  EXPECT_EQ(metrics.cpu().usage().total(), 1000U);
  EXPECT_THAT(metrics.cpu().usage().per_cpu(), ElementsAre(600, 400));
  const auto ticks = static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
  EXPECT_EQ(metrics.cpu().usage().user(), 2 * (1'000'000'000 / ticks));
  EXPECT_EQ(metrics.cpu().throttling().throttled_time(), 77U);
  EXPECT_EQ(metrics.memory().pg_pg_in(), 3U);
  EXPECT_EQ(metrics.memory().hierarchical_swap_limit(), 4U);
  EXPECT_EQ(metrics.memory().total_rss(), 5U);
  EXPECT_EQ(metrics.memory().usage().limit(), 200U);
  EXPECT_EQ(metrics.memory().swap().failcnt(), 6U);
  EXPECT_EQ(metrics.memory_oom_control().oom_kill(), 2U);
  EXPECT_EQ(metrics.pids().current(), 4U);
  EXPECT_EQ(metrics.pids().limit(), 0U);
  ASSERT_EQ(metrics.blkio().io_serviced_recursive_size(), 2);
  EXPECT_EQ(metrics.blkio().io_serviced_recursive(1).op(), "Write");
  EXPECT_EQ(metrics.blkio().io_serviced_recursive(1).value(), 4U);
  ASSERT_EQ(metrics.hugetlb_size(), 1);
  EXPECT_EQ(metrics.hugetlb(0).usage(), 8U);
}

TEST_F(CgroupTest, TheLastGoodNumbersOutliveTheCgroup) {
  File("c/pids.current", "5\n");
  Cgroup cgroup;
  cgroup.unified_directory = dir_ / "c";
  CgroupStats stats(cgroup);
  stats.Refresh();
  ASSERT_EQ(rename((dir_ / "c").c_str(), (dir_ / "d").c_str()), 0);
  EXPECT_TRUE(stats.Read());
  CgroupStats never(cgroup);
  EXPECT_EQ(never.Read().error().code(), base::Code::kNotFound);
}

TEST_F(CgroupTest, OurOwnCgroupIsFoundOnThisMachine) {
  const auto cgroup = CgroupOf(getpid());
  if (!cgroup) GTEST_SKIP() << cgroup.error().message();
  if (!cgroup->Exists()) GTEST_SKIP() << "no cgroupfs at " << kCgroupRoot;
  const auto read = ReadMetrics(*cgroup);
  ASSERT_TRUE(read);
  EXPECT_GT(read->value.size(), 20U);
  const auto processes = ProcessesIn(*cgroup);
  ASSERT_TRUE(processes) << processes.error().message();
  EXPECT_THAT(*processes, ::testing::Contains(getpid()));
  EXPECT_EQ(CgroupOf(0x3ffffff).error().code(), base::Code::kNotFound);
}

}  // namespace
}  // namespace bulwark::shim
