// The stdio of one process of a container: init or exec. Connects what the client named in Create
// or Exec (stdin, stdout, stderr URIs; containerd runtime/v2/README.md, "I/O") with the descriptors
// the runtime passes to the container.
//
// Forms: all empty (null); a path or fifo:// (a fifo of the client, or an existing regular file);
// file:// (log file, created, appended); binary:// and binary-v2:// (a logger process). The scheme
// of stdout decides for stderr too. With a terminal, the descriptors are replaced by a console
// socket, and everything is copied between its master and the URIs.
//
// The container never gets a fifo of the client, only pipes of ours: a client that restarts gives
// no EPIPE inside. Nothing here blocks: fifos are opened in an order that never waits, copying
// happens on the event loop (splice, or one buffer shared by all streams), and when nobody reads,
// copying stops until somebody does.
//
// Life: Open → WhenReady → spawn the runtime with ChildDescriptors() / console_socket() →
// ChildSpawned() → the runtime exits → RuntimeFinished() → … → ProcessExited() → OnOutputDrained
// (bounded by the caller) → Close() or destruction.
// Thread: the loop's. Precondition: SIGPIPE is ignored in this process.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/event_loop.h"
#include "lib/base/result.h"

namespace bulwark::shim {

struct StdioRequest {
  std::string stdin_uri;
  std::string stdout_uri;
  std::string stderr_uri;  // ignored with a terminal
  bool terminal = false;
  // Owner of the container's ends of the pipes, so that a process in a user namespace can reopen
  // /dev/stdout.
  uid_t io_uid = 0;
  gid_t io_gid = 0;
  // CONTAINER_ID and CONTAINER_NAMESPACE of a logger process. For an exec the id is the exec id, as
  // containerd does it.
  std::string logger_id;
  std::string logger_namespace;
};

class Stdio {
 public:
  // Opens fifos and files, makes the pipes, starts a logger process, listens on the console socket.
  // `loop` must outlive the object. kInvalidArgument: a URI that cannot be parsed or is of an
  // unknown scheme; kNotFound: no fifo there; otherwise the errno of the call that failed. On error
  // nothing is left behind.
  static base::Result<std::unique_ptr<Stdio>> Open(base::EventLoop& loop,
                                                     const StdioRequest& request);
  // Same as Close().
  ~Stdio();
  Stdio(const Stdio&) = delete;
  Stdio& operator=(const Stdio&) = delete;

  // Calls `done` once, when the runtime may be started: at once (before this returns) unless a
  // logger process has yet to report that it is ready. kFailedPrecondition: a binary-v2 logger
  // closed descriptor 5 without a byte; kDeadlineExceeded: no report within 10 s. Not called after
  // Close().
  void WhenReady(std::function<void(base::Status)> done);

  // For base::SpawnOptions::descriptors: which of our descriptors the runtime gets as its 0, 1 and
  // 2. Those that are missing (null, or a terminal) become /dev/null or the caller's own pipe.
  // Valid until ChildSpawned().
  std::vector<std::pair<int, int>> ChildDescriptors() const;

  // Argument of --console-socket; empty without a terminal. Valid until the console has been
  // received.
  const std::string& console_socket() const;

  // Call right after the runtime was spawned: closes the container's ends here and starts copying.
  void ChildSpawned();

  // Call when the runtime exited with success. With a terminal: takes over the console if that has
  // not happened yet; kUnavailable when the runtime sent none, or why receiving it failed.
  // Otherwise always OK.
  base::Status RuntimeFinished();

  // TIOCSWINSZ. Remembered and applied later if the console has not arrived yet. OK and without
  // effect without a terminal, as containerd's shim answers, and once the console is gone.
  // kInvalidArgument above 65535.
  base::Status Resize(uint32_t width, uint32_t height);

  // Task.CloseIO(stdin): gives up our own writer of the client's fifo, so that the container sees
  // EOF once every client has closed its writer too. Works at any time; a second call does nothing.
  // With a terminal, that EOF hangs the terminal up, as with containerd's shim: the client is gone
  // for good.
  void CloseStdin();

  // Call when the process exited. With a terminal: what is still in the console is copied, then the
  // streams are closed (without one, EOF on the pipes says the same more exactly, as children may
  // still write).
  void ProcessExited();

  // Calls `done` once, as soon as stdout and stderr have ended and everything was handed on; at
  // once (before this returns) if that is already so. The caller bounds the wait (a child in the
  // background may keep the pipe open, a client may not read). Not called after Close(). `done` may
  // destroy this object.
  void OnOutputDrained(std::function<void()> done);

  // Closes everything at once; a logger process gets time to finish, then SIGTERM, then SIGKILL (in
  // the background, on the loop). May be called again.
  void Close();

 private:
  struct Impl;
  explicit Stdio(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace bulwark::shim
