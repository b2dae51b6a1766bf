// A ttrpc server on an event loop: unary calls, answered in any order (containerd/ttrpc PROTOCOL.md). Knows frames and
// peers, not services: one handler gets every call and dispatches by name.
// Thread: the loop's, Responder included. The loop must outlive the Server.
//
// A peer is served whatever it does: requests of one that has gone are still done, one that half-closes still gets its
// answers, one that reads slowly is not read from while 1 MiB of answers wait for it, and one that lets 8 MiB wait is
// disconnected.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/event_loop.h"
#include "lib/base/result.h"
#include "lib/base/unique_fd.h"
#include "lib/base/unix_socket.h"

namespace bulwark::ttrpc {

struct ServerCall {
  std::string service;
  std::string method;
  std::string payload;
  int64_t timeout_ns = 0;  // the caller's, 0: none. Informational: work that was begun is finished
  std::vector<std::pair<std::string, std::string>> metadata;
  base::PeerCredentials peer;
};

// The one answer to one call. Copies share the call. If the last copy goes away unanswered, the caller gets kInternal.
// An answer to a connection that is gone is dropped.
class Responder {
 public:
  // The first call counts, later ones are ignored. A payload over 4 MiB becomes kResourceExhausted.
  void Reply(base::Result<std::string> payload) const;
  // Whether the caller's connection still stands.
  bool is_connected() const;

 private:
  friend class Server;
  struct State;
  explicit Responder(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

struct ServerOptions {
  // Who may connect; a refused peer is disconnected before a byte is read. Default: root, or our own euid.
  std::function<bool(const base::PeerCredentials&)> accept_peer;
  std::function<void(const base::PeerCredentials&)> on_refused_peer;
  size_t connections_max = 1024;
  size_t calls_per_connection_max = 1024;  // in flight; more get kResourceExhausted
  // Calls that only wait for something, maybe for days, and that a caller may give up without a word (ttrpc has no
  // cancellation): they have a bound of their own, so that forgotten ones do not keep the others out. Default: none.
  std::function<bool(std::string_view service, std::string_view method)> is_long_wait;
  size_t long_waits_per_connection_max = 64 * 1024;
};

class Server {
 public:
  using Handler = std::function<void(ServerCall call, Responder responder)>;

  Server(base::EventLoop& loop, ServerOptions options, Handler handler);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Accepts connections on a listening non-blocking unix socket; takes ownership.
  base::Status Serve(base::UniqueFd listener);
  // Closes the listener; connections and their calls go on.
  void StopAccepting();
  size_t connection_count() const;
  // Calls `done` once every answer given so far has been written to its socket (or its connection is gone); never before
  // this returns. A peer that does not read can hold it up for ever: bound the wait with a timer.
  void FlushThen(std::function<void()> done);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace bulwark::ttrpc
