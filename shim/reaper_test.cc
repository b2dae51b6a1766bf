#include "shim/reaper.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>

namespace bulwark::shim {
namespace {

base::UniqueFd OpenPidfd(pid_t pid) {
  return base::UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
}

pid_t ForkExit(int status) {
  const pid_t pid = fork();
  if (pid == 0) _exit(status);
  return pid;
}

pid_t ForkWait() {
  const pid_t pid = fork();
  if (pid == 0) {
    for (;;) pause();
  }
  return pid;
}

// Whether the process exists, as zombie or alive.
bool Exists(pid_t pid) { return kill(pid, 0) == 0; }

void WaitUntilZombie(pid_t pid) {
  siginfo_t info = {};
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT), 0);
}

class ReaperTest : public testing::Test {
 protected:
  void RunUntil(const bool& done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!done && std::chrono::steady_clock::now() < end) ASSERT_TRUE(loop_->RunOnce(100));
    ASSERT_TRUE(done);
  }

  std::unique_ptr<base::EventLoop> loop_ = std::move(*base::EventLoop::Create());
  Reaper reaper_{*loop_, base::SystemClock()};
};

TEST_F(ReaperTest, AnExitThatADebuggerHoldsDoesNotSpinTheLoop) {
  const pid_t traced = ForkWait();
  int attached[2];
  ASSERT_EQ(pipe(attached), 0);
  const pid_t tracer = fork();
  if (tracer == 0) {
    const char outcome = ptrace(PTRACE_SEIZE, traced, 0, 0) == 0 ? 'y' : 'n';
    [[maybe_unused]] const ssize_t put = write(attached[1], &outcome, 1);
    for (;;) pause();
  }
  char outcome = 0;
  ASSERT_EQ(read(attached[0], &outcome, 1), 1);
  close(attached[0]);
  close(attached[1]);
  bool done = false;
  ASSERT_TRUE(reaper_.Watch(traced, OpenPidfd(traced), [&](const ProcessExit& exit) {
    EXPECT_EQ(exit.status, 128u + SIGKILL);
    done = true;
  }));
  kill(traced, SIGKILL);
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
  int turns = 0;
  while (std::chrono::steady_clock::now() < end) {
    ASSERT_TRUE(loop_->RunOnce(50));
    ++turns;
  }
  if (outcome == 'y') {
    EXPECT_FALSE(done);
    EXPECT_LT(turns, 40);
  }
  kill(tracer, SIGKILL);
  ASSERT_EQ(waitpid(tracer, nullptr, 0), tracer);
  RunUntil(done);
  if (outcome != 'y') GTEST_SKIP() << "ptrace is not allowed here";
}

TEST_F(ReaperTest, TellsTheExitCode) {
  const pid_t pid = ForkExit(7);
  bool done = false;
  uint32_t status = 0;
  ASSERT_TRUE(reaper_.Watch(pid, OpenPidfd(pid), [&](const ProcessExit& exit) {
    status = exit.status;
    EXPECT_GT(exit.wall_ns, 0);
    done = true;
  }));
  RunUntil(done);
  EXPECT_EQ(status, 7u);
  EXPECT_FALSE(Exists(pid));
  EXPECT_EQ(reaper_.watched_count(), 0u);
}

TEST_F(ReaperTest, TellsASignalAs128PlusItsNumber) {
  const pid_t pid = ForkWait();
  bool done = false;
  uint32_t status = 0;
  ASSERT_TRUE(reaper_.WatchPid(pid, [&](const ProcessExit& exit) {
    status = exit.status;
    done = true;
  }));
  ASSERT_TRUE(reaper_.Signal(pid, SIGKILL));
  RunUntil(done);
  EXPECT_EQ(status, 128u + SIGKILL);
  EXPECT_EQ(reaper_.Signal(pid, SIGKILL).error().code(), base::Code::kNotFound);
}

TEST_F(ReaperTest, AProcessThatDiedBeforeItsPidWasKnownIsNotLostWhileTheSweepIsHeld) {
  Reaper::SweepHold hold(&reaper_);
  const pid_t pid = ForkExit(3);
  WaitUntilZombie(pid);
  reaper_.RequestSweep();
  ASSERT_TRUE(Exists(pid));
  bool done = false;
  uint32_t status = 0;
  ASSERT_TRUE(reaper_.WatchPid(pid, [&](const ProcessExit& exit) {
    status = exit.status;
    done = true;
  }));
  hold.Release();
  RunUntil(done);
  EXPECT_EQ(status, 3u);
}

TEST_F(ReaperTest, ReleasingTheLastHoldCatchesUpOnTheSweep) {
  Reaper::SweepHold first(&reaper_);
  Reaper::SweepHold second(&reaper_);
  const pid_t orphan = ForkExit(0);
  WaitUntilZombie(orphan);
  reaper_.RequestSweep();
  first.Release();
  ASSERT_TRUE(loop_->RunOnce(10));
  EXPECT_TRUE(Exists(orphan));
  second.Release();
  ASSERT_TRUE(loop_->RunOnce(100));
  EXPECT_FALSE(Exists(orphan));
}

TEST_F(ReaperTest, TheSweepReapsOrphansAndRoutesWatchedProcesses) {
  const pid_t orphan = ForkExit(0);
  const pid_t watched = ForkExit(9);
  WaitUntilZombie(orphan);
  WaitUntilZombie(watched);
  int told = 0;
  ASSERT_TRUE(reaper_.WatchPid(watched, [&](const ProcessExit& exit) {
    EXPECT_EQ(exit.status, 9u);
    ++told;
  }));
  reaper_.RequestSweep();
  EXPECT_FALSE(Exists(orphan));
  EXPECT_EQ(told, 1);
  ASSERT_TRUE(loop_->RunOnce(10));
  EXPECT_EQ(told, 1);
}

TEST_F(ReaperTest, AGrandchildThatIsReparentedIsReaped) {
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  const pid_t parent = fork();
  if (parent == 0) {
    const pid_t grandchild = fork();
    if (grandchild == 0) _exit(11);
    siginfo_t info = {};
    waitid(P_PID, static_cast<id_t>(grandchild), &info, WEXITED | WNOWAIT);
    _exit(write(fds[1], &grandchild, sizeof grandchild) == sizeof grandchild ? 0 : 1);
  }
  pid_t grandchild = 0;
  ASSERT_EQ(read(fds[0], &grandchild, sizeof grandchild), static_cast<ssize_t>(sizeof grandchild));
  close(fds[0]);
  close(fds[1]);
  Reaper::SweepHold hold(&reaper_);
  int status = 0;
  ASSERT_EQ(waitpid(parent, &status, 0), parent);
  bool done = false;
  uint32_t exit_status = 0;
  ASSERT_TRUE(reaper_.WatchPid(grandchild, [&](const ProcessExit& exit) {
    exit_status = exit.status;
    done = true;
  }));
  hold.Release();
  RunUntil(done);
  EXPECT_EQ(exit_status, 11u);
}

TEST_F(ReaperTest, RefusesToWatchAPidTwiceOrOneThatDoesNotExist) {
  const pid_t pid = ForkWait();
  bool done = false;
  ASSERT_TRUE(reaper_.WatchPid(pid, [&](const ProcessExit&) { done = true; }));
  EXPECT_EQ(reaper_.WatchPid(pid, nullptr).error().code(), base::Code::kAlreadyExists);
  ASSERT_TRUE(reaper_.Signal(pid, SIGKILL));
  RunUntil(done);
  EXPECT_EQ(reaper_.WatchPid(pid, nullptr).error().code(), base::Code::kNotFound);
}

}  // namespace
}  // namespace bulwark::shim
