// A whole ttrpc server fed raw bytes over a socket, and a client fed the same bytes as if a server
// had sent them. Neither may crash, hang, keep the connection after the peer has gone, or leave a
// call of its own without an answer.
#include <google/protobuf/stubs/logging.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/event_loop.h"
#include "lib/base/unique_fd.h"
#include "lib/base/unix_socket.h"
#include "lib/ttrpc/client.h"
#include "lib/ttrpc/server.h"

namespace {

using bulwark::base::EventLoop;
using bulwark::base::UniqueFd;

constexpr int kTurnsMax = 200'000;

// Writes `bytes`, reading and dropping what comes back, then closes.
class Feeder {
 public:
  Feeder(UniqueFd socket, std::string_view bytes) : socket_(std::move(socket)), rest_(bytes) {}
  bool is_done() const { return !socket_.is_open(); }
  void Turn() {
    char sink[4096];
    while (recv(socket_.get(), sink, sizeof sink, MSG_DONTWAIT) > 0) {
    }
    const ssize_t sent =
        send(socket_.get(), rest_.data(), rest_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) rest_.remove_prefix(static_cast<size_t>(sent));
    if (rest_.empty()) socket_.Reset();
  }

 private:
  UniqueFd socket_;
  std::string_view rest_;
};

void Spin(EventLoop& loop, const std::function<bool()>& is_done) {
  for (int turn = 0; !is_done(); ++turn) {
    if (turn > kTurnsMax || !loop.RunOnce(0)) abort();
  }
}

void FuzzServer(EventLoop& loop, std::string_view bytes) {
  // One path per process: a fuzzer may run several at once.
  static const std::string path = "/tmp/bulwark-ttrpc-fuzz-" + std::to_string(getpid()) + ".sock";
  std::vector<bulwark::ttrpc::Responder> held;
  bulwark::ttrpc::ServerOptions options;
  options.calls_per_connection_max = 8;
  bulwark::ttrpc::Server server(
      loop, std::move(options),
      [&](bulwark::ttrpc::ServerCall call, const bulwark::ttrpc::Responder& responder) {
        if (call.payload.size() % 3 == 0) responder.Reply(std::move(call.payload));
        if (call.payload.size() % 3 == 1) held.push_back(responder);
      });
  auto listener = bulwark::base::ListenUnix(path, 0600);
  if (!listener || !server.Serve(*std::move(listener))) abort();
  auto socket = bulwark::base::ConnectUnix(path);
  unlink(path.c_str());
  if (!socket) abort();
  Spin(loop, [&] { return server.connection_count() == 1; });
  Feeder feeder(*std::move(socket), bytes);
  Spin(loop, [&] {
    if (!feeder.is_done()) feeder.Turn();
    return feeder.is_done() && server.connection_count() == 0;
  });
}

void FuzzClient(EventLoop& loop, std::string_view bytes) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) abort();
  Feeder feeder(UniqueFd(pair[1]), bytes);
  bool is_closed = false;
  int unanswered = 3;
  bulwark::ttrpc::Client client(loop, UniqueFd(pair[0]), [&] { is_closed = true; });
  for (int i = 0; i < 3; ++i) {
    client.Call("s", "m", "payload", {}, [&](const auto&) { --unanswered; });
  }
  Spin(loop, [&] {
    if (!feeder.is_done()) feeder.Turn();
    return is_closed;
  });
  if (unanswered != 0) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  // Protobuf prints a line for every string that is not UTF-8.
  google::protobuf::SetLogHandler(nullptr);
  static EventLoop& loop = *EventLoop::Create().value().release();
  FuzzServer(loop, bytes);
  FuzzClient(loop, bytes);
  return 0;
}
