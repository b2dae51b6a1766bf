#include "lib/base/spawn.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "lib/base/file_io.h"

namespace bulwark::base {
namespace {

constexpr int kTimeoutMs = 20'000;

SpawnOptions Shell(const std::string& script) {
  SpawnOptions options;
  options.argv = {"/bin/sh", "-c", script};
  return options;
}

std::string OutputOf(const SpawnOptions& options, std::string_view input = "") {
  const auto captured = RunCommand(options, input, 1 << 16, kTimeoutMs);
  EXPECT_TRUE(captured) << captured.error().message();
  if (!captured) return "";
  EXPECT_EQ(captured->exit_status, 0) << captured->output;
  return captured->output;
}

int WaitFor(pid_t pid) {
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return ExitStatusFromWait(status);
}

TEST(SpawnTest, TheChildRunsAndIsReapedByItsCaller) {
  const SpawnedProcess child = Spawn(Shell("exit 7")).value();
  siginfo_t info{};
  ASSERT_EQ(waitid(P_PIDFD, static_cast<id_t>(child.pidfd.get()), &info, WEXITED), 0);
  EXPECT_EQ(info.si_pid, child.pid);
  EXPECT_EQ(info.si_status, 7);
  EXPECT_NE(fcntl(child.pidfd.get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(SpawnTest, ARaisedDescriptorLimitIsNotInherited) {
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = 256;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  ASSERT_TRUE(RaiseDescriptorLimit());
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(limit.rlim_cur, limit.rlim_max);
  EXPECT_EQ(OutputOf(Shell("ulimit -Sn")), "256\n");
  ASSERT_TRUE(RaiseDescriptorLimit());  // a second time changes nothing
  EXPECT_EQ(OutputOf(Shell("ulimit -Sn")), "256\n");
}

TEST(RunCommandTest, AMappedStderrIsKeptOutOfTheOutput) {
  const UniqueFd nowhere(open("/dev/null", O_WRONLY | O_CLOEXEC));
  SpawnOptions options = Shell("echo out; echo warning >&2");
  EXPECT_EQ(OutputOf(options), "out\nwarning\n");
  options.descriptors.emplace_back(nowhere.get(), STDERR_FILENO);
  EXPECT_EQ(OutputOf(options), "out\n");
}

TEST(SpawnTest, AFailureToExecIsAnErrorWithItsErrnoAndLeavesNoChild) {
  SpawnOptions options;
  options.argv = {"/nonexistent/program"};
  EXPECT_EQ(Spawn(options).error().os_errno(), ENOENT);
  options.argv = {"/etc/passwd"};
  EXPECT_EQ(Spawn(options).error().os_errno(), EACCES);
  options.argv = {"/bin/true"};
  options.working_directory = "/nonexistent";
  const Error error = Spawn(options).error();
  EXPECT_EQ(error.code(), Code::kNotFound);
  EXPECT_EQ(error.message(), "spawn /bin/true: enter working directory: No such file or directory");
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST(SpawnTest, BadRequestsAreRefusedBeforeAChildExists) {
  SpawnOptions options;
  EXPECT_EQ(Spawn(options).error().code(), Code::kInvalidArgument);
  options.argv = {"/bin/true", std::string("a\0b", 3)};
  EXPECT_EQ(Spawn(options).error().code(), Code::kInvalidArgument);
  options.argv = {"no-such-program-anywhere"};
  EXPECT_EQ(Spawn(options).error().code(), Code::kNotFound);
  options.argv = {"/bin/true"};
  options.descriptors = {{0, 5}, {1, 5}};
  EXPECT_EQ(Spawn(options).error().code(), Code::kInvalidArgument);
  options.descriptors = {{-1, 5}};
  EXPECT_EQ(Spawn(options).error().code(), Code::kInvalidArgument);
  options.descriptors = {{987, 5}};
  EXPECT_EQ(Spawn(options).error().os_errno(), EBADF);
}

TEST(SpawnTest, ArgvZeroIsSearchedInPath) {
  SpawnOptions options;
  options.argv = {"echo", "found me"};
  EXPECT_EQ(OutputOf(options), "found me\n");
}

TEST(SpawnTest, OnlyMappedDescriptorsReachTheChild) {
  const UniqueFd leaky(open("/dev/null", O_RDONLY));  // not close-on-exec, on purpose
  const UniqueFd mapped(open("/dev/zero", O_RDONLY | O_CLOEXEC));
  SpawnOptions options =
      Shell("for f in /proc/$$/fd/*; do readlink $f; done; readlink /proc/$$/fd/9");
  options.descriptors = {{mapped.get(), 9}};
  const std::string output = OutputOf(options);
  EXPECT_EQ(output.find("/dev/null\npipe:["), 0U) << output;
  EXPECT_NE(output.find("/dev/zero\n/dev/zero\n"), std::string::npos) << output;
  EXPECT_EQ(std::count(output.begin(), output.end(), '\n'), 5) << output;
}

TEST(SpawnTest, MappingsMayOverlapInAnyDirection) {
  int first[2];
  int second[2];
  ASSERT_EQ(pipe2(first, O_CLOEXEC), 0);
  ASSERT_EQ(pipe2(second, O_CLOEXEC), 0);
  const UniqueFd first_read(first[0]);
  const UniqueFd second_read(second[0]);
  UniqueFd first_write(first[1]);
  UniqueFd second_write(second[1]);
  const int a = first_write.get();
  const int b = second_write.get();
  // The child gets them swapped, and one of them a second time.
  SpawnOptions options = Shell(fmt::format(
      "cd /proc/self/fd; echo to-{0} >{0}; echo to-{1} >{1}; echo more >20", a, b));
  options.descriptors = {{a, b}, {b, a}, {a, 20}};
  const SpawnedProcess child = Spawn(options).value();
  first_write.Reset();
  second_write.Reset();
  EXPECT_EQ(ReadAll(first_read.get(), 99).value(), fmt::format("to-{}\nmore\n", b));
  EXPECT_EQ(ReadAll(second_read.get(), 99).value(), fmt::format("to-{}\n", a));
  EXPECT_EQ(WaitFor(child.pid), 0);
}

TEST(SpawnTest, ADescriptorMappedToItsOwnNumberStaysOpen) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  SpawnOptions options = Shell(fmt::format("echo same >/proc/self/fd/{}", writer.get()));
  options.descriptors = {{writer.get(), writer.get()}};
  const SpawnedProcess child = Spawn(options).value();
  writer.Reset();
  EXPECT_EQ(ReadAll(reader.get(), 99).value(), "same\n");
  EXPECT_EQ(WaitFor(child.pid), 0);
}

TEST(SpawnTest, SignalsAreAtTheirDefaultsAndUnblocked) {
  struct sigaction old_action {};
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  ASSERT_EQ(sigaction(SIGUSR1, &ignore, &old_action), 0);
  sigset_t blocked;
  sigset_t old_mask;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR2);
  ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &blocked, &old_mask), 0);
  const std::string output = OutputOf(Shell("grep -E '^Sig(Blk|Ign)' /proc/self/status"));
  pthread_sigmask(SIG_SETMASK, &old_mask, nullptr);
  sigaction(SIGUSR1, &old_action, nullptr);
  EXPECT_EQ(output, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

TEST(SpawnTest, OurOwnSignalMaskIsLeftAsItWas) {
  sigset_t before;
  sigset_t after;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  EXPECT_EQ(WaitFor(Spawn(Shell("true")).value().pid), 0);
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  for (int signal = 1; signal < 32; ++signal) {
    EXPECT_EQ(sigismember(&before, signal), sigismember(&after, signal)) << signal;
  }
}

TEST(SpawnTest, EnvironmentDirectoryAndGroupAreThoseAskedFor) {
  SpawnOptions options = Shell("echo $A-$HOME; pwd; ps -o pgid= -p $$ | tr -d ' '; echo $$");
  options.environment = {"A=1", "PATH=/usr/bin:/bin"};
  options.working_directory = "/usr";
  const std::string output = OutputOf(options);
  EXPECT_EQ(output.find("1-\n/usr\n"), 0U) << output;
  options = Shell("echo $BULWARK_SPAWN_TEST");
  setenv("BULWARK_SPAWN_TEST", "inherited", 1);
  EXPECT_EQ(OutputOf(options), "inherited\n");
  unsetenv("BULWARK_SPAWN_TEST");
}

TEST(SpawnTest, ANewProcessGroupIsLedByTheChild) {
  SpawnOptions options = Shell("read line");
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  options.descriptors = {{reader.get(), 0}};
  options.new_process_group = true;
  const SpawnedProcess child = Spawn(options).value();
  EXPECT_EQ(getpgid(child.pid), child.pid);
  writer.Reset();
  WaitFor(child.pid);
}

TEST(SpawnTest, TheChildDiesWithItsSpawningThread) {
  SpawnedProcess child;
  std::thread spawner([&] {
    SpawnOptions options = Shell("sleep 60");
    options.parent_death_signal = SIGKILL;
    child = Spawn(options).value();
  });
  spawner.join();
  EXPECT_EQ(WaitFor(child.pid), 128 + SIGKILL);
}

TEST(SpawnTest, ManyThreadsMaySpawnAtOnce) {
  std::atomic<int> succeeded{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&succeeded, t] {
      for (int i = 0; i < 10; ++i) {
        const int status = (t * 10 + i) % 100;
        const auto child = Spawn(Shell(fmt::format("exit {}", status)));
        ASSERT_TRUE(child);
        if (WaitFor(child->pid) == status) ++succeeded;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(succeeded.load(), 40);
}

TEST(RunCommandTest, InputOutputAndStatusPassThrough) {
  const std::string input(300'000, 'i');
  const auto captured =
      RunCommand(Shell("wc -c; echo error >&2; exit 3"), input, 1000, kTimeoutMs).value();
  EXPECT_EQ(captured.exit_status, 3);
  EXPECT_EQ(captured.output, "300000\nerror\n");
  EXPECT_EQ(OutputOf(Shell("cat"), ""), "");
}

TEST(RunCommandTest, OutputBeyondTheBoundIsDroppedWithoutStoppingTheChild) {
  const auto captured =
      RunCommand(Shell("head -c 1000000 /dev/zero"), "", 1000, kTimeoutMs).value();
  EXPECT_EQ(captured.exit_status, 0);
  EXPECT_EQ(captured.output, std::string(1000, '\0'));
}

TEST(RunCommandTest, AtTheDeadlineTheWholeGroupIsKilled) {
  for (const char* script : {"sleep 60 & sleep 60", "cat /dev/zero", "exec >&- 2>&-; sleep 60"}) {
    const auto begin = std::chrono::steady_clock::now();
    const auto captured = RunCommand(Shell(script), "", 100, 200);
    EXPECT_EQ(captured.error().code(), Code::kDeadlineExceeded) << script;
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30)) << script;
  }
}

TEST(RunCommandTest, AProcessLeftBehindWithTheOutputOpenIsNotWaitedFor) {
  const auto begin = std::chrono::steady_clock::now();
  const auto captured = RunCommand(Shell("echo done; sleep 40 & exit 0"), "", 100, 35'000).value();
  EXPECT_EQ(captured.output, "done\n");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
}

TEST(RunCommandTest, DeathBySignalIs128PlusItsNumber) {
  EXPECT_EQ(RunCommand(Shell("kill -TERM $$"), "", 100, kTimeoutMs).value().exit_status,
            128 + SIGTERM);
}

TEST(ExitStatusTest, WhatIsNeitherExitNorSignalIsNotZero) {
  EXPECT_EQ(ExitStatusFromWait(0), 0);
  EXPECT_EQ(ExitStatusFromWait(0x137f), 255);  // stopped
  EXPECT_EQ(ExitStatusFromWait(0xffff), 255);  // continued
}

}  // namespace
}  // namespace bulwark::base
