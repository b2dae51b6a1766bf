#include "shim/os/console.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <utility>

#include "lib/base/unix_socket.h"
#include "shim/os/client_streams.h"

namespace bulwark::shim {
namespace {

using base::Code;
using base::Error;
using base::Result;
using base::Status;
using base::UniqueFd;

constexpr mode_t kSocketMode = 0600;
constexpr uint32_t kWindowCellsMax = 65535;
constexpr size_t kDirectoryBytesMax = 80;  // leaves room in sun_path, 108 bytes, for ours

std::string TemporaryRoot() {
  const char* runtime = getenv("XDG_RUNTIME_DIR");
  const std::string root = runtime == nullptr ? "" : runtime;
  return !root.empty() && root.front() == '/' && root.size() <= kDirectoryBytesMax ? root : "/tmp";
}

}  // namespace

ConsoleSocket::ConsoleSocket(base::EventLoop& loop, Receiver receiver)
    : loop_(loop), receiver_(std::move(receiver)) {}

Result<std::unique_ptr<ConsoleSocket>> ConsoleSocket::Listen(base::EventLoop& loop,
                                                             Receiver receiver) {
  std::unique_ptr<ConsoleSocket> socket(new ConsoleSocket(loop, std::move(receiver)));
  std::string directory = TemporaryRoot() + "/ptyXXXXXX";
  if (mkdtemp(directory.data()) == nullptr) return Error::FromErrno("make directory {}", directory);
  socket->directory_ = directory;
  socket->path_ = directory + "/pty.sock";
  ASSIGN_OR_RETURN(socket->listener_, base::ListenUnix(socket->path_, kSocketMode));
  ConsoleSocket* raw = socket.get();
  RETURN_IF_ERROR(
      loop.Watch(socket->listener_.get(), EPOLLIN, [raw](uint32_t) { raw->Accept(); }));
  return socket;
}

ConsoleSocket::~ConsoleSocket() { RemoveFiles(); }

void ConsoleSocket::RemoveFiles() {
  if (listener_.is_open()) loop_.Unwatch(listener_.get());
  if (connection_.is_open()) loop_.Unwatch(connection_.get());
  listener_.Reset();
  connection_.Reset();
  if (directory_.empty()) return;
  unlink(path_.c_str());
  rmdir(directory_.c_str());
  directory_.clear();
}

void ConsoleSocket::Accept() {
  auto accepted = base::AcceptUnix(listener_.get());
  if (!accepted) {
    if (accepted.error().code() == Code::kUnavailable) return;
    return Finish(std::move(accepted).error().Wrap("accept console"));
  }
  connection_ = *std::move(accepted);
  loop_.Unwatch(listener_.get());
  auto status = loop_.Watch(connection_.get(), EPOLLIN, [this](uint32_t) { Receive(); });
  if (!status) Finish(std::move(status).error());
}

void ConsoleSocket::Receive() {
  auto master = base::ReceiveDescriptor(connection_.get());
  if (!master) {
    if (master.error().os_errno() == EAGAIN) return;
    return Finish(std::move(master).error().Wrap("receive console"));
  }
  if (isatty(master->get()) == 0) return Finish(Error::FromErrno("receive console"));
  if (auto status = SetNonBlocking(*master); !status) return Finish(std::move(status).error());
  Finish(std::move(master));
}

void ConsoleSocket::ReceiveNow() {
  if (!receiver_) return;
  if (!connection_.is_open()) Accept();
  if (receiver_ && connection_.is_open()) Receive();
  if (receiver_) Finish(Error(Code::kUnavailable, "receive console: the runtime sent none"));
}

void ConsoleSocket::Finish(Result<UniqueFd> master) {
  RemoveFiles();
  const auto receiver = std::exchange(receiver_, nullptr);
  receiver(std::move(master));
}

Status SetWindowSize(const UniqueFd& master, uint32_t width, uint32_t height) {
  if (width > kWindowCellsMax || height > kWindowCellsMax) {
    return Error::Make(Code::kInvalidArgument, "resize terminal to {}x{}: too large", width,
                       height);
  }
  winsize size{};
  size.ws_col = static_cast<unsigned short>(width);
  size.ws_row = static_cast<unsigned short>(height);
  if (ioctl(master.get(), TIOCSWINSZ, &size) != 0) {
    return Error::FromErrno("resize terminal to {}x{}", width, height);
  }
  return base::OkStatus();
}

}  // namespace bulwark::shim
