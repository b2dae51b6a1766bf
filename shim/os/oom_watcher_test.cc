#include "shim/os/oom_watcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/mman.h>
#include <sys/wait.h>

#include <vector>

#include "lib/base/file_io.h"
#include "shim/os/test_support.h"

namespace bulwark::shim {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::LoopFixture;
using testing::TempDir;

class OomWatcherTest : public ::testing::Test, protected LoopFixture {
 protected:
  OomWatcherTest() : watcher_(loop(), [this](const std::string& id) { struck_.push_back(id); }) {}

  // memory.events of a made-up v2 cgroup; written in place, as the kernel changes it.
  Cgroup Fake(const std::string& name, int kills) {
    EXPECT_TRUE(base::MakeDirectories(dir_ / name, 0755));
    SetKills(name, kills);
    Cgroup cgroup;
    cgroup.unified_directory = dir_ / name;
    return cgroup;
  }
  void SetKills(const std::string& name, int kills) {
    const auto file = testing::OpenFd(dir_ / (name + "/memory.events"), O_WRONLY | O_CREAT);
    const std::string text = fmt::format("low 0\noom 9\noom_kill {}\n", kills);
    ASSERT_EQ(write(file.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }

  TempDir dir_;
  std::vector<std::string> struck_;
  OomWatcher watcher_;
};

TEST_F(OomWatcherTest, OnlyTheContainerWithANewKillIsReported) {
  ASSERT_TRUE(watcher_.Add("a", Fake("a", 0)));
  ASSERT_TRUE(watcher_.Add("b", Fake("b", 3)));
  EXPECT_EQ(watcher_.Add("a", Fake("a", 0)).error().code(), base::Code::kAlreadyExists);
  SetKills("b", 3);
  RunFor(30);
  EXPECT_THAT(struck_, IsEmpty());
  SetKills("b", 4);
  ASSERT_TRUE(RunUntil([&] { return !struck_.empty(); }));
  EXPECT_THAT(struck_, ElementsAre("b"));
}

TEST_F(OomWatcherTest, AFinalCheckReportsWhatTheLoopHasNotSeenAndOnlyOnce) {
  ASSERT_TRUE(watcher_.Add("a", Fake("a", 0)));
  SetKills("a", 1);
  watcher_.CheckNow("a");
  EXPECT_THAT(struck_, ElementsAre("a"));
  RunFor(30);
  EXPECT_THAT(struck_, ElementsAre("a"));
  watcher_.CheckNow("unknown");
}

TEST_F(OomWatcherTest, NothingIsReportedAfterRemove) {
  ASSERT_TRUE(watcher_.Add("a", Fake("a", 0)));
  watcher_.Remove("a");
  watcher_.Remove("a");
  SetKills("a", 1);
  RunFor(30);
  EXPECT_THAT(struck_, IsEmpty());
}

TEST_F(OomWatcherTest, ACgroupWithoutMemoryControllerIsNotFound) {
  Cgroup cgroup;
  cgroup.unified_directory = dir_ / "gone";
  EXPECT_EQ(watcher_.Add("a", cgroup).error().code(), base::Code::kNotFound);
  cgroup.mode = CgroupMode::kV1;
  EXPECT_EQ(watcher_.Add("a", cgroup).error().code(), base::Code::kNotFound);
}

// A real v1 memory cgroup of 4 MiB, and a child that wants 64.
class RealOomTest : public OomWatcherTest {
 protected:
  void SetUp() override {
    const auto mode = DetectCgroupMode();
    if (geteuid() != 0 || !mode || *mode != CgroupMode::kV1) {
      GTEST_SKIP() << "needs root and cgroup v1";
    }
    path_ = fmt::format("{}/memory/bulwark-test-{}", kCgroupRoot, getpid());
    if (mkdir(path_.c_str(), 0755) != 0) GTEST_SKIP() << "cannot make a memory cgroup";
    cgroup_.mode = CgroupMode::kV1;
    cgroup_.controllers.emplace_back("memory", path_);
    cgroup_.path = "/bulwark-test";
    Set("memory.limit_in_bytes", "4194304");
    Set("memory.memsw.limit_in_bytes", "4194304");  // absent without swap accounting
    Set("memory.swappiness", "0");
  }
  void TearDown() override {
    if (!path_.empty()) RemoveCgroup();
  }
  void Set(const std::string& name, const std::string& value) {
    const auto file = testing::OpenFd(path_ + "/" + name, O_WRONLY);
    [[maybe_unused]] const ssize_t put = write(file.get(), value.data(), value.size());
  }
  bool RemoveCgroup() {
    for (int i = 0; i < 100 && rmdir(path_.c_str()) != 0 && errno == EBUSY; ++i) usleep(20'000);
    return !base::PathExists(path_);
  }
  int StarveAChild() {
    const pid_t child = fork();
    if (child == 0) {
      Set("cgroup.procs", "0");
      const size_t size = 64 << 20;
      auto* memory = static_cast<char*>(
          mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
      for (size_t i = 0; i < size; i += 4096) memory[i] = 1;
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return status;
  }
  std::string path_;
  Cgroup cgroup_;
};

TEST_F(RealOomTest, AnOomKillIsReportedAndARemovedCgroupIsNot) {
  ASSERT_TRUE(watcher_.Add("c", cgroup_));
  const int status = StarveAChild();
  ASSERT_TRUE(WIFSIGNALED(status));
  ASSERT_EQ(WTERMSIG(status), SIGKILL);
  ASSERT_TRUE(RunUntil([&] { return !struck_.empty(); }));
  EXPECT_THAT(struck_, ElementsAre("c"));
  ASSERT_TRUE(RemoveCgroup());
  const int before = turns();
  RunFor(100);
  EXPECT_LE(turns() - before, 40);
  EXPECT_THAT(struck_, ElementsAre("c"));
  watcher_.Remove("c");
}

}  // namespace
}  // namespace bulwark::shim
