// The root filesystem of a container: mounts the list that containerd passes in Create, and
// unmounts it at Delete (containerd mount/mount_linux.go; mount(2), umount2(2), fsconfig(2)).
// Docker and `ctr run --rootfs` pass an empty list and mount themselves: then do not call these
// functions at all, for UnmountRootfs would take foreign mounts away.
// Thread: the loop's. A long overlay option list is shortened by changing the working directory for
// the length of one mount(2), so no other thread may use relative paths; UnmountRootfs's does not.
#pragma once

#include <sys/mount.h>

#include <functional>
#include <string>
#include <vector>

#include "lib/base/event_loop.h"
#include "lib/base/result.h"

namespace bulwark::shim {

// One entry of CreateTaskRequest.rootfs.
struct RootfsMount {
  std::string type;    // "overlay", "bind", or any filesystem of the kernel
  std::string source;
  std::string target;  // below the rootfs; empty: the rootfs itself
  std::vector<std::string> options;
};

// Mounts the list in order at `rootfs` (absolute; made with mode 0711 if missing). Blocks as long
// as mount(2) does, which for overlay and bind is not at all. A `target` is resolved inside the
// rootfs (openat2 RESOLVE_IN_ROOT): a symbolic link of the image cannot lead out of it.
// On error everything mounted so far is unmounted again. kInvalidArgument: an option that must not
// reach a shim; kUnimplemented: loop devices, FUSE and id-mapped mounts (uidmap=, gidmap=);
// kResourceExhausted: an option list that no form of mounting can hold; otherwise mount(2)'s errno.
base::Status MountRootfs(const std::vector<RootfsMount>& mounts, const std::string& rootfs);

// Unmounts everything at and below `rootfs`, deepest and topmost first, never through a symbolic
// link. What is busy is tried again for half a second on the loop and then detached lazily. Nothing
// mounted, or no directory: OK. umount2 of an overlay may write a whole filesystem back and take
// seconds; it runs on a short-lived thread, so that the loop goes on serving the pod's other
// containers. `done` is called once, from the loop (before this returns only if there are no
// threads to be had); not if the loop ends before. `unmount` is for tests.
using UnmountCall = int (*)(const char* path, int flags);
void UnmountRootfs(base::EventLoop& loop, std::string rootfs,
                   std::function<void(base::Status)> done, UnmountCall unmount = umount2);

// The same, blocking up to half a second: for the `delete` command of the binary, and to undo a
// failed Create.
base::Status UnmountRootfsBlocking(const std::string& rootfs);

}  // namespace bulwark::shim
