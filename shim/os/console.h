// How a terminal reaches the shim: a unix socket in a private directory, given to the runtime as
// --console-socket, over which runc or crun send the master of the container's pty (runc
// docs/terminals.md, "detached"). Used by Stdio; the copying is StreamCopier's.
// Thread: the loop's. Nothing blocks.
#pragma once

#include <stdint.h>

#include <functional>
#include <memory>
#include <string>

#include "lib/base/event_loop.h"
#include "lib/base/result.h"
#include "lib/base/unique_fd.h"

namespace bulwark::shim {

class ConsoleSocket {
 public:
  // Receives the master (non-blocking, close-on-exec, verified to be a terminal) or why it could
  // not be had. Called once; must not destroy the object.
  using Receiver = std::function<void(base::Result<base::UniqueFd>)>;

  // Makes a 0700 directory below $XDG_RUNTIME_DIR (absolute, else /tmp) with a listening socket in
  // it.
  static base::Result<std::unique_ptr<ConsoleSocket>> Listen(base::EventLoop& loop,
                                                             Receiver receiver);
  // Removes socket and directory; the receiver is not called any more.
  ~ConsoleSocket();
  ConsoleSocket(const ConsoleSocket&) = delete;
  ConsoleSocket& operator=(const ConsoleSocket&) = delete;

  const std::string& path() const { return path_; }

  // Takes what already waits in the socket, without waiting for the loop. The receiver is called
  // before this returns: with kUnavailable if nothing waits. Does nothing if it was called before.
  void ReceiveNow();

 private:
  ConsoleSocket(base::EventLoop& loop, Receiver receiver);
  void Accept();
  void Receive();
  void Finish(base::Result<base::UniqueFd> master);
  void RemoveFiles();

  base::EventLoop& loop_;
  Receiver receiver_;
  std::string directory_;
  std::string path_;
  base::UniqueFd listener_;
  base::UniqueFd connection_;
};

// Sets the window size of the terminal `master` (ioctl_tty(2), TIOCSWINSZ). kInvalidArgument above
// 65535.
base::Status SetWindowSize(const base::UniqueFd& master, uint32_t width, uint32_t height);

}  // namespace bulwark::shim
