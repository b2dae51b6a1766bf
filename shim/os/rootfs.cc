#include "shim/os/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

#include "lib/base/unique_fd.h"
#include "shim/os/mount_options.h"
#include "shim/os/overlay_mount.h"

namespace bulwark::shim {
namespace {

using base::Code;
using base::Error;
using base::Result;
using base::Status;
using base::UniqueFd;

constexpr mode_t kRootfsMode = 0711;
constexpr size_t kMountsMax = 256;
// What applies to a bind mount itself; the mount call that makes it ignores all of these (mount(2),
// "bind mount").
constexpr unsigned long kPerMountFlags =
    MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME;

// Flags that a mount has now, in MS_ form: those locked by a user namespace must be repeated in a
// remount.
unsigned long PresentFlags(const std::string& target) {
  struct statvfs info {};
  if (statvfs(target.c_str(), &info) != 0) return 0;
  unsigned long flags = 0;
  if ((info.f_flag & ST_RDONLY) != 0) flags |= MS_RDONLY;
  if ((info.f_flag & ST_NOSUID) != 0) flags |= MS_NOSUID;
  if ((info.f_flag & ST_NODEV) != 0) flags |= MS_NODEV;
  if ((info.f_flag & ST_NOEXEC) != 0) flags |= MS_NOEXEC;
  if ((info.f_flag & ST_NOATIME) != 0) flags |= MS_NOATIME;
  if ((info.f_flag & ST_NODIRATIME) != 0) flags |= MS_NODIRATIME;
  if ((info.f_flag & ST_RELATIME) != 0) flags |= MS_RELATIME;
  return flags;
}

Status RestrictBind(const std::string& target, unsigned long flags) {
  const unsigned long remount = MS_REMOUNT | MS_BIND | (flags & (kPerMountFlags | MS_REC));
  if (mount("", target.c_str(), "", remount, nullptr) == 0) return base::OkStatus();
  if (errno == EPERM &&
      mount("", target.c_str(), "", remount | PresentFlags(target), nullptr) == 0) {
    return base::OkStatus();
  }
  return Error::FromErrno("remount {} with restrictions", target);
}

Status MountOne(const RootfsMount& entry, const std::string& target) {
  if (entry.type.substr(0, 5) == "fuse." || entry.type.substr(0, 6) == "fuse3.") {
    return Error::Make(Code::kUnimplemented, "mount type {}: not supported", entry.type);
  }
  ASSIGN_OR_RETURN(const MountOptions options, ParseMountOptions(entry.options));
  const std::string data = options.JoinedData();
  if (data.size() >= static_cast<size_t>(sysconf(_SC_PAGESIZE))) {
    if (entry.type == "overlay") return MountLongOverlay(entry.source, target, options);
    return Error::Make(Code::kResourceExhausted, "mount {} at {}: options of {} bytes", entry.type,
                       target, data.size());
  }
  if (mount(entry.source.c_str(), target.c_str(), entry.type.c_str(), options.flags,
            data.c_str()) != 0) {
    return Error::FromErrno("mount {} ({}) at {}", entry.source, entry.type, target);
  }
  if ((options.flags & MS_BIND) == 0 || (options.flags & MS_REMOUNT) != 0 ||
      (options.flags & kPerMountFlags) == 0) {
    return base::OkStatus();
  }
  auto status = RestrictBind(target, options.flags);
  if (!status) umount2(target.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  return status;
}

// The real path of `target` below the rootfs, as it looks with what is mounted so far.
Result<std::string> ResolveTarget(const std::string& rootfs, const std::string& target) {
  if (target.empty() || target == "/") return rootfs;
  const UniqueFd root(open(rootfs.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!root.is_open()) return Error::FromErrno("open {}", rootfs);
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  const UniqueFd found(static_cast<int>(
      syscall(SYS_openat2, root.get(), target.c_str(), &how, sizeof how)));
  if (!found.is_open()) return Error::FromErrno("resolve mount target {} in {}", target, rootfs);
  char path[PATH_MAX];
  const ssize_t length =
      readlink(fmt::format("/proc/self/fd/{}", found.get()).c_str(), path, sizeof path);
  if (length <= 0 || length == static_cast<ssize_t>(sizeof path)) {
    return Error::FromErrno("resolve mount target {} in {}", target, rootfs);
  }
  // Nothing runs in the rootfs yet, so the path still leads there when it is mounted on.
  return std::string(path, static_cast<size_t>(length));
}

}  // namespace

Status MountRootfs(const std::vector<RootfsMount>& mounts, const std::string& rootfs) {
  if (mounts.size() > kMountsMax) {
    return Error::Make(Code::kInvalidArgument, "mount rootfs: {} mounts", mounts.size());
  }
  if (rootfs.empty() || rootfs.front() != '/') {
    return Error::Make(Code::kInvalidArgument, "mount rootfs: {} is not absolute", rootfs);
  }
  if (!mounts.empty() && mkdir(rootfs.c_str(), kRootfsMode) != 0 && errno != EEXIST) {
    return Error::FromErrno("make directory {}", rootfs);
  }
  std::vector<std::string> done;
  for (const RootfsMount& entry : mounts) {
    auto target = ResolveTarget(rootfs, entry.target);
    auto status = target ? MountOne(entry, *target) : Status(std::move(target).error());
    if (!status) {
      for (auto it = done.rbegin(); it != done.rend(); ++it) {
        umount2(it->c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
      }
      return std::move(status).error().Wrap("mount rootfs");
    }
    done.push_back(*std::move(target));
  }
  return base::OkStatus();
}

}  // namespace bulwark::shim
