// A ttrpc client on an event loop: many calls in flight over one unix connection (containerd/ttrpc PROTOCOL.md).
// Thread: the loop's. Nothing blocks, except CallBlocking below, which is for commands and tests.
#pragma once

#include <stdint.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/event_loop.h"
#include "lib/base/result.h"
#include "lib/base/unique_fd.h"

namespace bulwark::ttrpc {

struct CallOptions {
  int64_t timeout_ms = 0;  // 0: none. Sent to the server and enforced here: kDeadlineExceeded.
  std::vector<std::pair<std::string, std::string>> metadata;
};

class Client {
 public:
  // The response's payload, or: the server's status as an Error with its code; kUnavailable when the connection broke
  // before the answer came (the server may or may not have acted); kResourceExhausted for a request or a response over
  // 4 MiB; kInternal for a response that cannot be decoded. A server that lets 8 MiB of requests wait is disconnected.
  using Callback = std::function<void(base::Result<std::string> payload)>;

  // Takes a connected socket. `on_close` runs once, when the connection is gone, after every pending call has failed.
  Client(base::EventLoop& loop, base::UniqueFd socket, std::function<void()> on_close);
  // Pending callbacks are dropped without being run. Safe in any of the client's own callbacks. The loop must outlive it.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // `callback` runs exactly once, never before Call returns. `service` is the full proto name without a slash.
  void Call(std::string_view service, std::string_view method, std::string payload, const CallOptions& options,
            Callback callback);

  bool is_open() const;
  size_t pending_calls() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// Connects, calls once, waits at most `timeout_ms` for everything.
base::Result<std::string> CallBlocking(const std::string& socket_path, std::string_view service,
                                       std::string_view method, std::string payload, int64_t timeout_ms);

}  // namespace bulwark::ttrpc
