#include "shim/os/cgroup_warm_up.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <string>

#include "shim/os/cgroup_path.h"

namespace bulwark::shim {
namespace {

// Each move keeps the lock cheap for at least one more grace period.
constexpr int kMoves = 4;
constexpr timespec kPause = {0, 5'000'000};
constexpr int64_t kSpanNs = 20'000'000;

// In the child: it, not the shim, moves, so a shim that somebody moves meanwhile stays moved.
void MoveToOwnCgroup() {
  const auto cgroup = CgroupOf(getpid());
  if (!cgroup) return;
  const std::string& directory =
      cgroup->mode == CgroupMode::kV2 || cgroup->controllers.empty()
          ? cgroup->unified_directory
          : cgroup->controllers.front().second;
  const int file = open((directory + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC);
  for (int i = 0; i < kMoves; ++i) {
    if (i > 0) nanosleep(&kPause, nullptr);
    if (write(file, "0", 1) != 1) return;
  }
}

}  // namespace

void CgroupWarmUp::Begin() {
  const int64_t now = clock_.BootNanos();
  if (begun_boot_ns_ != 0 && now - begun_boot_ns_ < kSpanNs) return;
  begun_boot_ns_ = now;
  if (fork() != 0) return;
  // A copy of a pipe's end would keep its other end from seeing the close.
  close_range(0, ~0U, 0);
  MoveToOwnCgroup();
  _exit(0);
}

}  // namespace bulwark::shim
