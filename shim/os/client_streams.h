// Opening the files a client named for stdio, without ever waiting for the other side (fifo(7)). A
// fifo is opened at both ends: first O_RDONLY | O_NONBLOCK, which never waits, then O_WRONLY, which
// finds a reader. The path is resolved once, and both ends are opened through /proc/self/fd, so
// they belong to the same file.
#pragma once

#include <string>

#include "lib/base/result.h"
#include "lib/base/unique_fd.h"
#include "shim/os/stream_copier.h"

namespace bulwark::shim {

// For stdout and stderr: a fifo (with its keep-alive end), or any other file, which is appended to
// and never created. kNotFound: nothing there; kInvalidArgument: a directory or a socket.
base::Result<StreamCopier::Sink> OpenClientOutput(const std::string& path);

struct ClientInput {
  base::UniqueFd reader;
  // Our own writer of the fifo: while it is open, `reader` sees no EOF. Not open if the path is no
  // fifo; then `reader` is a file that the container can have directly.
  base::UniqueFd closer;
};
base::Result<ClientInput> OpenClientInput(const std::string& path);

// file://: creates the directories (0755) and the file (0644) as needed, and appends.
base::Result<StreamCopier::Sink> OpenLogFile(const std::string& path);

struct Pipe {
  base::UniqueFd read_end;
  base::UniqueFd write_end;
};
// Both ends O_CLOEXEC and blocking.
base::Result<Pipe> MakePipe();

base::Status SetNonBlocking(const base::UniqueFd& fd);

}  // namespace bulwark::shim
