#include "shim/process.h"

#include <gtest/gtest.h>

namespace bulwark::shim {
namespace {

using State = Process::State;

Process MakeRunning(const std::string& exec_id) {
  Process process(exec_id, {});
  process.SetPid(42);
  EXPECT_TRUE(process.BeginStart());
  process.Started();
  return process;
}

TEST(Process, GoesFromCreatedToRunningToStopped) {
  Process process("", {});
  EXPECT_EQ(process.wire_status(), containerd::task::CREATED);
  ASSERT_TRUE(process.BeginStart());
  EXPECT_EQ(process.wire_status(), containerd::task::CREATED);
  process.Started();
  EXPECT_EQ(process.wire_status(), containerd::task::RUNNING);
  process.Exited({3, 99});
  EXPECT_EQ(process.wire_status(), containerd::task::STOPPED);
  EXPECT_EQ(process.exit().status, 3u);
  EXPECT_EQ(process.exit().wall_ns, 99);
}

TEST(Process, CannotBeStartedTwice) {
  Process process = MakeRunning("");
  auto again = process.BeginStart();
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code(), base::Code::kUnknown);
  EXPECT_EQ(again.error().message(), "cannot start a running process");
}

TEST(Process, WhoWaitsForAStartIsToldOnceItHasSettled) {
  Process process("e", {});
  ASSERT_TRUE(process.BeginStart());
  int told = 0;
  process.WhenStartSettled([&] { ++told; });
  process.Started();
  EXPECT_EQ(told, 0);  // the start itself is answered first
  process.StartSettled();
  process.StartSettled();
  EXPECT_EQ(told, 1);
}

TEST(Process, AForgottenWaiterIsNotTold) {
  Process process = MakeRunning("");
  int told = 0;
  const uint64_t first = process.WaitExit([&](const ProcessExit&) { told += 1; });
  process.WaitExit([&](const ProcessExit&) { told += 10; });
  process.ForgetWaiter(first);
  EXPECT_EQ(process.waiter_count(), 1u);
  process.Exited({0, 1});
  process.ForgetWaiter(first);
  EXPECT_EQ(told, 10);
}

TEST(Process, StdioThatCannotBeOpenedIsNoErrorThatContainerdReads) {
  const auto loop = std::move(*base::EventLoop::Create());
  StdioRequest request;
  request.stdout_uri = "/nonexistent/fifo";
  Process process("", std::move(request));
  base::Status opened;
  process.OpenIo(*loop, [&](base::Status status) { opened = std::move(status); });
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), base::Code::kUnknown);
}

TEST(Process, CannotBeStartedAfterItsEnd) {
  Process process("", {});
  process.Exited({137, 1});
  EXPECT_EQ(process.BeginStart().error().code(), base::Code::kFailedPrecondition);
}

TEST(Process, AnInitWhoseStartFailedIsStillCreated) {
  Process init("", {});
  ASSERT_TRUE(init.BeginStart());
  init.StartFailed(5);
  EXPECT_EQ(init.state(), State::kCreated);
  EXPECT_TRUE(init.BeginStart());
}

TEST(Process, AnExecWhoseStartFailedIsStoppedWithAnUnknownStatusAndReleasesWaiters) {
  Process exec("e", {});
  uint32_t status = 0;
  exec.WaitExit([&](const ProcessExit& exit) { status = exit.status; });
  ASSERT_TRUE(exec.BeginStart());
  exec.StartFailed(5);
  EXPECT_EQ(exec.state(), State::kStopped);
  EXPECT_EQ(status, kUnknownExitStatus);
  EXPECT_TRUE(exec.CheckDelete());
}

TEST(Process, PausesAndResumesOnlyInTurn) {
  Process process = MakeRunning("");
  EXPECT_FALSE(process.CheckResume());
  ASSERT_TRUE(process.BeginPause());
  EXPECT_EQ(process.wire_status(), containerd::task::PAUSING);
  EXPECT_FALSE(process.BeginPause());
  process.PauseEnded(true);
  EXPECT_EQ(process.wire_status(), containerd::task::PAUSED);
  EXPECT_EQ(process.BeginPause().error().message(), "cannot pause a paused process");
  ASSERT_TRUE(process.CheckResume());
  process.Resumed();
  EXPECT_EQ(process.wire_status(), containerd::task::RUNNING);
}

TEST(Process, AFailedPauseLeavesItRunning) {
  Process process = MakeRunning("");
  ASSERT_TRUE(process.BeginPause());
  process.PauseEnded(false);
  EXPECT_EQ(process.state(), State::kRunning);
}

TEST(Process, AnExitWhilePausingWins) {
  Process process = MakeRunning("");
  ASSERT_TRUE(process.BeginPause());
  process.Exited({137, 1});
  process.PauseEnded(true);
  process.Resumed();
  EXPECT_EQ(process.state(), State::kStopped);
}

TEST(Process, CanBeDeletedOnlyWhenCreatedOrStopped) {
  Process created("", {});
  EXPECT_TRUE(created.CheckDelete());
  Process running = MakeRunning("");
  EXPECT_EQ(running.CheckDelete().error().message(), "cannot delete a running process");
  running.Exited({0, 1});
  EXPECT_TRUE(running.CheckDelete());
  Process starting("", {});
  ASSERT_TRUE(starting.BeginStart());
  EXPECT_FALSE(starting.CheckDelete());
}

TEST(Process, KeepsTheFirstExit) {
  Process process = MakeRunning("");
  process.Exited({1, 10});
  process.Exited({2, 20});
  EXPECT_EQ(process.exit().status, 1u);
}

TEST(Process, TellsEveryWaiterOnceAndLateOnesAtOnce) {
  Process process = MakeRunning("");
  int told = 0;
  process.WaitExit([&](const ProcessExit&) { ++told; });
  process.WaitExit([&](const ProcessExit&) { ++told; });
  EXPECT_EQ(told, 0);
  process.Exited({0, 1});
  EXPECT_EQ(told, 2);
  process.WaitExit([&](const ProcessExit&) { ++told; });
  EXPECT_EQ(told, 3);
}

}  // namespace
}  // namespace bulwark::shim
