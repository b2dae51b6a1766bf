#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <unistd.h>

#include <memory>
#include <string_view>
#include <utility>

#include "lib/base/file_io.h"
#include "lib/base/unique_fd.h"
#include "shim/os/flat_file.h"
#include "shim/os/rootfs.h"

namespace bulwark::shim {
namespace {

using base::Error;
using base::Result;
using base::Status;
using base::UniqueFd;

constexpr int kAttemptsMax = 10;
constexpr int kRetryMs = 50;
constexpr int kStackedMax = 1024;  // mounts on top of each other at one place
constexpr size_t kMountInfoBytesMax = 32 * 1024 * 1024;
constexpr unsigned int kMicrosPerMilli = 1000;
constexpr size_t kStackBytes = 128 * 1024;

// proc(5), /proc/PID/mountinfo: blanks and backslashes of a path are written as three octal digits.
std::string DecodeOctal(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      decoded += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                   (text[i + 3] - '0'));
      i += 3;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

// Mount points below `rootfs`, in the order they were mounted.
Result<std::vector<std::string>> MountsBelow(const std::string& rootfs) {
  ASSIGN_OR_RETURN(const std::string text,
                   base::ReadPseudoFile("/proc/self/mountinfo", kMountInfoBytesMax));
  const std::string prefix = rootfs + "/";
  std::vector<std::string> mounts;
  std::string_view rest = text;
  while (!rest.empty()) {
    std::string_view line = TakeLine(rest);
    for (int field = 0; field < 4; ++field) TakeWord(line);
    std::string path = DecodeOctal(TakeWord(line));
    if (path.compare(0, prefix.size(), prefix) == 0) mounts.push_back(std::move(path));
  }
  return mounts;
}

enum class Outcome { kGone, kBusy };

// Takes away everything mounted at `path`.
Result<Outcome> UnmountAt(const std::string& path, int flags, UnmountCall unmount) {
  for (int i = 0; i < kStackedMax; ++i) {
    if (unmount(path.c_str(), flags | UMOUNT_NOFOLLOW) == 0) continue;
    if (errno == EINVAL || errno == ENOENT || errno == ENOTDIR) return Outcome::kGone;
    if (errno == EBUSY) return Outcome::kBusy;
    return Error::FromErrno("unmount {}", path);
  }
  return Outcome::kBusy;
}

Result<Outcome> UnmountBelow(const std::string& rootfs, int flags, UnmountCall unmount) {
  ASSIGN_OR_RETURN(const auto below, MountsBelow(rootfs));
  Outcome all = Outcome::kGone;
  for (auto it = below.rbegin(); it != below.rend(); ++it) {
    ASSIGN_OR_RETURN(const Outcome outcome, UnmountAt(*it, flags, unmount));
    if (outcome == Outcome::kBusy) all = Outcome::kBusy;
  }
  return all;
}

// Whether something may be mounted below a rootfs where nothing is mounted: the mount table, which
// is long on a busy node, is read only then. The common second unmount, by the `delete` command,
// finds an empty directory.
bool MayHaveMountsBelow(const std::string& rootfs) {
  const auto names = base::ListDirectory(rootfs, 1);
  if (names) return !names->empty();
  return names.error().code() == base::Code::kResourceExhausted;
}

Result<Outcome> UnmountTree(const std::string& rootfs, int flags, UnmountCall unmount) {
  ASSIGN_OR_RETURN(Outcome outcome, UnmountAt(rootfs, flags, unmount));
  if (outcome == Outcome::kBusy || MayHaveMountsBelow(rootfs)) {
    ASSIGN_OR_RETURN(const Outcome below, UnmountBelow(rootfs, flags, unmount));
    if (outcome == Outcome::kBusy) {
      ASSIGN_OR_RETURN(outcome, UnmountAt(rootfs, flags, unmount));
    }
    if (below == Outcome::kBusy) outcome = Outcome::kBusy;
  }
  return outcome;
}

// One attempt; the last one detaches lazily. True when there is nothing left to do.
Result<bool> Attempt(const std::string& rootfs, int attempt, UnmountCall unmount) {
  ASSIGN_OR_RETURN(const Outcome outcome,
                   UnmountTree(rootfs, attempt == kAttemptsMax ? MNT_DETACH : 0, unmount));
  return outcome == Outcome::kGone || attempt == kAttemptsMax;
}

struct Unmounting {
  std::string rootfs;
  std::function<void(Status)> done;
  UnmountCall unmount = nullptr;
  int attempt = 0;
};

// One attempt on a thread of its own. The thread has a share of this and of nothing else: a loop
// that ends meanwhile does not wait for it, and it does not touch the loop.
struct Job {
  std::string rootfs;
  UnmountCall unmount = nullptr;
  int attempt = 0;
  UniqueFd ended;  // eventfd, which orders `outcome` as well
  Result<bool> outcome = false;
};

void* RunJob(void* argument) {
  const std::unique_ptr<std::shared_ptr<Job>> job(static_cast<std::shared_ptr<Job>*>(argument));
  (*job)->outcome = Attempt((*job)->rootfs, (*job)->attempt, (*job)->unmount);
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t put = write((*job)->ended.get(), &one, sizeof one);
  return nullptr;
}

// False if there is no thread to be had. It inherits our signal mask, so it takes no signals.
bool StartThread(const std::shared_ptr<Job>& job) {
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return false;
  pthread_attr_setstacksize(&attributes, kStackBytes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  auto argument = std::make_unique<std::shared_ptr<Job>>(job);
  pthread_t thread;
  const int failure = pthread_create(&thread, &attributes, RunJob, argument.get());
  pthread_attr_destroy(&attributes);
  if (failure != 0) return false;
  argument.release();  // NOLINT(bugprone-unused-return-value): the thread's
  return true;
}

void Continue(base::EventLoop& loop, const std::shared_ptr<Unmounting>& state);

void OnAttempt(base::EventLoop& loop, const std::shared_ptr<Unmounting>& state,
               Result<bool> finished) {
  if (!finished) return state->done(std::move(finished).error());
  if (*finished) return state->done(base::OkStatus());
  loop.AddTimer(kRetryMs, [&loop, state] { Continue(loop, state); });
}

void Continue(base::EventLoop& loop, const std::shared_ptr<Unmounting>& state) {
  auto job = std::make_shared<Job>();
  job->rootfs = state->rootfs;
  job->unmount = state->unmount;
  job->attempt = state->attempt++;
  job->ended.Reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  const int fd = job->ended.get();
  const bool is_watched = job->ended.is_open() && loop.Watch(fd, EPOLLIN, [&loop, state, job](
                                                                              uint32_t) {
    uint64_t count = 0;
    if (read(job->ended.get(), &count, sizeof count) != sizeof count) return;
    loop.Unwatch(job->ended.get());
    OnAttempt(loop, state, std::move(job->outcome));
  });
  if (is_watched && StartThread(job)) return;
  // Out of descriptors or threads: better late than not at all.
  if (is_watched) loop.Unwatch(fd);
  OnAttempt(loop, state, Attempt(job->rootfs, job->attempt, job->unmount));
}

}  // namespace

void UnmountRootfs(base::EventLoop& loop, std::string rootfs, std::function<void(Status)> done,
                   UnmountCall unmount) {
  auto state = std::make_shared<Unmounting>();
  state->rootfs = std::move(rootfs);
  state->done = std::move(done);
  state->unmount = unmount;
  Continue(loop, state);
}

Status UnmountRootfsBlocking(const std::string& rootfs) {
  for (int attempt = 0;; ++attempt) {
    ASSIGN_OR_RETURN(const bool is_finished, Attempt(rootfs, attempt, umount2));
    if (is_finished) return base::OkStatus();
    usleep(kRetryMs * kMicrosPerMilli);
  }
}

}  // namespace bulwark::shim
