// RunCommand of spawn.h: a child, its input and its output, with a deadline.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "lib/base/file_io.h"
#include "lib/base/spawn.h"

namespace bulwark::base {
namespace {

constexpr int kChunksPerTurn = 32;  // twice what a pipe holds: all that an ended child left

int64_t MonotonicMillis() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

// Input as a file in memory: complete before the child starts, so there is no pipe to feed and no
// SIGPIPE to catch.
Result<UniqueFd> InputFile(std::string_view input) {
  UniqueFd file(memfd_create("stdin", MFD_CLOEXEC));
  if (!file.is_open()) return Error::FromErrno("create input");
  RETURN_IF_ERROR(WriteAll(file.get(), input));
  if (lseek(file.get(), 0, SEEK_SET) != 0) return Error::FromErrno("rewind input");
  return file;
}

// Reads what is there now, though not for ever: a child that never stops writing must still meet
// its deadline. False at the end of the output. What is beyond `max_bytes` is read and dropped, so
// that the child never waits for us.
Result<bool> Drain(const UniqueFd& pipe, size_t max_bytes, std::string& output) {
  char chunk[4096];
  for (int turn = 0; turn < kChunksPerTurn; ++turn) {
    const ssize_t got = read(pipe.get(), chunk, sizeof chunk);
    if (got == 0) return false;
    if (got < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) return true;
      return Error::FromErrno("read output");
    }
    output.append(chunk, std::min(static_cast<size_t>(got), max_bytes - output.size()));
  }
  return true;
}

int Reap(pid_t pid) {
  int status = -1;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return ExitStatusFromWait(status);
}

// Collects output until the child ends. kDeadlineExceeded leaves the child running.
Status CollectUntilExit(const SpawnedProcess& child, UniqueFd pipe, size_t max_bytes,
                        int timeout_ms, std::string& output) {
  const int64_t deadline = MonotonicMillis() + timeout_ms;
  for (;;) {
    pollfd sources[2] = {{child.pidfd.get(), POLLIN, 0}, {pipe.get(), POLLIN, 0}};
    const int64_t remaining = deadline - MonotonicMillis();
    if (remaining <= 0) {
      return Error::Make(Code::kDeadlineExceeded, "no end within {} ms", timeout_ms);
    }
    // A closed pipe is -1 here, which poll skips.
    if (poll(sources, 2, static_cast<int>(remaining)) < 0 && errno != EINTR) {
      return Error::FromErrno("poll");
    }
    if (pipe.is_open() && (sources[1].revents != 0 || sources[0].revents != 0)) {
      ASSIGN_OR_RETURN(const bool more, Drain(pipe, max_bytes, output));
      if (!more) pipe.Reset();
    }
    if (sources[0].revents != 0) return OkStatus();
  }
}

}  // namespace

Result<CapturedOutput> RunCommand(SpawnOptions options, std::string_view input, size_t max_bytes,
                                  int timeout_ms) {
  UniqueFd stdin_file;
  if (!input.empty()) {
    ASSIGN_OR_RETURN(stdin_file, InputFile(input));
    options.descriptors.emplace_back(stdin_file.get(), STDIN_FILENO);
  }
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Error::FromErrno("create pipe");
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  // Ours only: the child's end keeps blocking, as programs expect.
  if (fcntl(read_end.get(), F_SETFL, O_NONBLOCK) != 0) return Error::FromErrno("set O_NONBLOCK");
  options.descriptors.emplace_back(write_end.get(), STDOUT_FILENO);
  const bool is_stderr_mapped =
      std::any_of(options.descriptors.begin(), options.descriptors.end(),
                  [](const auto& mapping) { return mapping.second == STDERR_FILENO; });
  if (!is_stderr_mapped) options.descriptors.emplace_back(write_end.get(), STDERR_FILENO);
  options.new_process_group = true;
  ASSIGN_OR_RETURN(const SpawnedProcess child, Spawn(options));
  write_end.Reset();

  CapturedOutput captured;
  const Status ended =
      CollectUntilExit(child, std::move(read_end), max_bytes, timeout_ms, captured.output);
  if (!ended) kill(-child.pid, SIGKILL);
  captured.exit_status = Reap(child.pid);
  if (!ended) return Error(ended.error()).Wrap("run {}", options.argv[0]);
  return captured;
}

}  // namespace bulwark::base
