#include "shim/os/client_streams.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "lib/base/file_io.h"

namespace bulwark::shim {
namespace {

using base::Code;
using base::Error;
using base::Result;
using base::Status;
using base::UniqueFd;

struct Located {
  UniqueFd handle;  // O_PATH
  bool is_fifo = false;
};

Result<Located> Locate(const std::string& path) {
  Located located;
  located.handle.Reset(open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!located.handle.is_open()) return Error::FromErrno("open {}", path);
  struct stat info {};
  if (fstat(located.handle.get(), &info) != 0) return Error::FromErrno("stat {}", path);
  if (S_ISDIR(info.st_mode) || S_ISSOCK(info.st_mode)) {
    return Error::Make(Code::kInvalidArgument, "open {}: neither a fifo nor a file", path);
  }
  located.is_fifo = S_ISFIFO(info.st_mode);
  return located;
}

Result<UniqueFd> Reopen(const Located& located, int flags, const std::string& path) {
  const std::string link = fmt::format("/proc/self/fd/{}", located.handle.get());
  UniqueFd fd(open(link.c_str(), flags | O_CLOEXEC | O_NOCTTY));
  if (!fd.is_open()) return Error::FromErrno("open {}", path);
  return fd;
}

}  // namespace

Result<StreamCopier::Sink> OpenClientOutput(const std::string& path) {
  ASSIGN_OR_RETURN(const Located located, Locate(path));
  StreamCopier::Sink sink;
  if (located.is_fifo) {
    ASSIGN_OR_RETURN(sink.keep_alive, Reopen(located, O_RDONLY | O_NONBLOCK, path));
    ASSIGN_OR_RETURN(sink.fd, Reopen(located, O_WRONLY | O_NONBLOCK, path));
  } else {
    ASSIGN_OR_RETURN(sink.fd, Reopen(located, O_WRONLY | O_APPEND | O_NONBLOCK, path));
  }
  return sink;
}

Result<ClientInput> OpenClientInput(const std::string& path) {
  ASSIGN_OR_RETURN(const Located located, Locate(path));
  ClientInput input;
  if (located.is_fifo) {
    ASSIGN_OR_RETURN(input.reader, Reopen(located, O_RDONLY | O_NONBLOCK, path));
    ASSIGN_OR_RETURN(input.closer, Reopen(located, O_WRONLY | O_NONBLOCK, path));
  } else {
    ASSIGN_OR_RETURN(input.reader, Reopen(located, O_RDONLY, path));
  }
  return input;
}

Result<StreamCopier::Sink> OpenLogFile(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash != std::string::npos && slash > 0) {
    RETURN_IF_ERROR(base::MakeDirectories(path.substr(0, slash), 0755));
  }
  StreamCopier::Sink sink;
  constexpr int kFlags = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
  sink.fd.Reset(open(path.c_str(), kFlags, 0644));
  if (!sink.fd.is_open()) return Error::FromErrno("open log file {}", path);
  return sink;
}

Result<Pipe> MakePipe() {
  int ends[2] = {-1, -1};
  if (pipe2(ends, O_CLOEXEC) != 0) return Error::FromErrno("create pipe");
  Pipe made;
  made.read_end.Reset(ends[0]);
  made.write_end.Reset(ends[1]);
  return made;
}

Status SetNonBlocking(const UniqueFd& fd) {
  const int flags = fcntl(fd.get(), F_GETFL);
  if (flags < 0 || fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return Error::FromErrno("make descriptor {} non-blocking", fd.get());
  }
  return base::OkStatus();
}

}  // namespace bulwark::shim
