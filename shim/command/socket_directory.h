// The directory of shim sockets, shared by all shims of the node. A lock on it makes "nobody
// listens here, so I take the name" and "nobody listens here, so I remove the name" single steps
// among bulwark's own `start` and `delete` commands.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "lib/base/result.h"
#include "lib/base/unique_fd.h"

namespace bulwark::shim {

// Holds flock(2) on the directory while it lives. Waits for others at most 2 s and then goes on
// without the lock: a stopped process must not keep the node from starting containers, and the race
// it leaves open is a few microseconds.
class SocketDirectoryLock {
 public:
  // Makes the directory (0700) if it is missing.
  static base::Result<SocketDirectoryLock> Take(const std::string& directory);

 private:
  explicit SocketDirectoryLock(base::UniqueFd directory) : directory_(std::move(directory)) {}
  base::UniqueFd directory_;
};

// "unix:///run/containerd/s/…" to its path; empty if it is of another form.
std::string SocketPathOfAddress(std::string_view address);

// Removes the socket file of a shim that is gone. One that somebody listens on, and files that are
// not shim sockets, stay.
void RemoveDeadSocket(const std::string& path);

}  // namespace bulwark::shim
