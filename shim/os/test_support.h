// What several tests of this folder need: a loop that is turned until something holds, temporary
// directories, fifos.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>

#include "lib/base/event_loop.h"
#include "lib/base/spawn.h"
#include "lib/base/unique_fd.h"

namespace bulwark::shim::testing {

class LoopFixture {
 public:
  LoopFixture() {
    signal(SIGPIPE, SIG_IGN);
    loop_ = std::move(base::EventLoop::Create()).value();
  }
  base::EventLoop& loop() { return *loop_; }

  // Turns the loop until `holds`, at most `timeout_ms`.
  bool RunUntil(const std::function<bool()>& holds, int timeout_ms = 10'000) {
    const int64_t deadline = Now() + timeout_ms;
    while (!holds()) {
      if (Now() > deadline) return false;
      if (!loop_->RunOnce(5)) return false;
      ++turns_;
    }
    return true;
  }
  void RunFor(int milliseconds) {
    RunUntil([] { return false; }, milliseconds);
  }
  int turns() const { return turns_; }

 private:
  static int64_t Now() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
  }
  std::unique_ptr<base::EventLoop> loop_;
  int turns_ = 0;
};

class TempDir {
 public:
  TempDir() {
    std::string name = "/tmp/bulwark-shim-os-XXXXXX";
    path_ = mkdtemp(name.data());
  }
  ~TempDir() {
    const base::SpawnOptions options = [this] {
      base::SpawnOptions made;
      made.argv = {"rm", "-rf", "--one-file-system", path_};
      return made;
    }();
    [[maybe_unused]] const auto result = base::RunCommand(options, "", 4096, 20'000);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline std::string MakeFifo(const TempDir& dir, const std::string& name) {
  std::string path = dir / name;
  if (mkfifo(path.c_str(), 0700) != 0) abort();
  return path;
}

inline base::UniqueFd OpenFd(const std::string& path, int flags) {
  return base::UniqueFd(open(path.c_str(), flags | O_CLOEXEC, 0644));
}

// Appends what is there now; false at EOF.
inline bool ReadSome(int fd, std::string& into) {
  char buffer[65536];
  const ssize_t got = read(fd, buffer, sizeof buffer);
  if (got > 0) into.append(buffer, static_cast<size_t>(got));
  return got != 0;
}

inline size_t OpenDescriptors() {
  size_t count = 0;
  DIR* dir = opendir("/proc/self/fd");
  while (readdir(dir) != nullptr) ++count;
  closedir(dir);
  return count;
}

}  // namespace bulwark::shim::testing
