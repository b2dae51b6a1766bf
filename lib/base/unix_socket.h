// Unix stream sockets: listening, connecting, who is on the other side, and descriptors sent along.
#pragma once

#include <sys/types.h>

#include <string>

#include "lib/base/result.h"
#include "lib/base/unique_fd.h"

namespace bulwark::base {

struct PeerCredentials {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

// Binds and listens on `path` (at most 107 bytes) with `mode`, non-blocking. An existing socket file that nobody answers
// on is replaced; one that somebody answers on gives kAlreadyExists; anything else at the path gives kFailedPrecondition.
Result<UniqueFd> ListenUnix(const std::string& path, mode_t mode);

// Connects to `path`; never blocks. kNotFound, or kUnavailable when nobody listens or the listener's backlog is full.
Result<UniqueFd> ConnectUnix(const std::string& path);

// Accepts one connection, non-blocking. kUnavailable when none waits.
Result<UniqueFd> AcceptUnix(int listener);

// SO_PEERCRED: who the peer was when it connected.
Result<PeerCredentials> PeerOf(int fd);

// Receives exactly one descriptor sent with SCM_RIGHTS (as runc and crun send a console); more than one, or none, or a
// truncated control message is kInvalidArgument and leaks nothing; kUnavailable when nothing has arrived yet.
Result<UniqueFd> ReceiveDescriptor(int fd);

}  // namespace bulwark::base
