#include "lib/base/unix_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace bulwark::base {
namespace {

constexpr int kSocketFlags = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
constexpr size_t kDescriptorsSeenMax = 8;  // room to notice, and close, those that should not be
constexpr size_t kMessageBytesMax = 4096;  // runc sends the console's name along

Result<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path ||
      path.find('\0') != std::string::npos) {
    return Error::Make(Code::kInvalidArgument, "socket path {}: must have 1 to {} bytes", path,
                       sizeof address.sun_path - 1);
  }
  memcpy(address.sun_path, path.data(), path.size());
  return address;
}

const sockaddr* Generic(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

// Removes a socket file that nobody answers on.
Status RemoveStale(const std::string& path, const sockaddr_un& address) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) {
    return errno == ENOENT ? OkStatus() : Status(Error::FromErrno("stat {}", path));
  }
  if (!S_ISSOCK(info.st_mode)) {
    return Error::Make(Code::kFailedPrecondition, "listen on {}: not a socket", path);
  }
  const UniqueFd probe(socket(AF_UNIX, kSocketFlags, 0));
  if (!probe.is_open()) return Error::FromErrno("create socket");
  if (connect(probe.get(), Generic(address), sizeof address) == 0 || errno == EAGAIN) {
    return Error::Make(Code::kAlreadyExists, "listen on {}: another process listens there", path);
  }
  if (errno == ENOENT) return OkStatus();
  if (errno != ECONNREFUSED) return Error::FromErrno("probe {}", path);
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return Error::FromErrno("unlink {}", path);
  return OkStatus();
}

Error Unexpected(std::string_view what) {
  return Error::Make(Code::kInvalidArgument, "receive descriptor: {}", what);
}

}  // namespace

Result<UniqueFd> ListenUnix(const std::string& path, mode_t mode) {
  ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(path));
  UniqueFd listener(socket(AF_UNIX, kSocketFlags, 0));
  if (!listener.is_open()) return Error::FromErrno("create socket");
  if (bind(listener.get(), Generic(address), sizeof address) != 0) {
    if (errno != EADDRINUSE) return Error::FromErrno("bind {}", path);
    RETURN_IF_ERROR(RemoveStale(path, address));
    if (bind(listener.get(), Generic(address), sizeof address) != 0) {
      return Error::FromErrno("bind {}", path);
    }
  }
  // Before listen(): until then nobody can connect, so the file's first mode opens no window.
  if (chmod(path.c_str(), mode) != 0) return Error::FromErrno("chmod {}", path);
  if (listen(listener.get(), SOMAXCONN) != 0) return Error::FromErrno("listen on {}", path);
  return listener;
}

Result<UniqueFd> ConnectUnix(const std::string& path) {
  ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(path));
  UniqueFd connection(socket(AF_UNIX, kSocketFlags, 0));
  if (!connection.is_open()) return Error::FromErrno("create socket");
  // Non-blocking from the start: with a full backlog this fails with EAGAIN instead of waiting for
  // ever (unix(7)).
  if (connect(connection.get(), Generic(address), sizeof address) != 0) {
    return Error::FromErrno("connect to {}", path);
  }
  return connection;
}

Result<UniqueFd> AcceptUnix(int listener) {
  for (;;) {
    UniqueFd connection(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (connection.is_open()) return connection;
    if (errno == EINTR || errno == ECONNABORTED) continue;
    return Error::FromErrno("accept connection");
  }
}

Result<PeerCredentials> PeerOf(int fd) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
    return Error::FromErrno("read peer credentials");
  }
  PeerCredentials peer;
  peer.pid = credentials.pid;
  peer.uid = credentials.uid;
  peer.gid = credentials.gid;
  return peer;
}

Result<UniqueFd> ReceiveDescriptor(int fd) {
  char data[kMessageBytesMax];
  alignas(cmsghdr) char control[CMSG_SPACE(kDescriptorsSeenMax * sizeof(int))];
  iovec vector{data, sizeof data};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t got = -1;
  do {
    got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return Error::FromErrno("receive descriptor");

  UniqueFd first;
  size_t count = 0;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t here = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < here; ++i, ++count) {
      int received = -1;
      memcpy(&received, CMSG_DATA(part) + i * sizeof(int), sizeof received);
      UniqueFd owner(received);  // closes every one but the first
      if (count == 0) first = std::move(owner);
    }
  }
  if ((message.msg_flags & MSG_CTRUNC) != 0) return Unexpected("control message cut short");
  if (count == 0) return Unexpected(got == 0 ? "peer closed" : "message carries none");
  if (count > 1) return Unexpected("message carries more than one");
  return first;
}

}  // namespace bulwark::base
