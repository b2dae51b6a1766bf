// A ttrpc connection that comes back: opens a client to a unix socket when it is wanted, checks who listens, and forgets
// it when it breaks. Decides nothing about retries; its users do. Thread: the loop's.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "lib/base/event_loop.h"
#include "lib/base/result.h"
#include "lib/base/unix_socket.h"
#include "lib/ttrpc/client.h"

namespace bulwark::shim {

// Root, or whoever we are: nobody else may stand behind a socket that the shim trusts.
bool IsTrustedPeer(const base::PeerCredentials& peer);

class Connection {
 public:
  Connection(base::EventLoop& loop, std::string path);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // The open client, connecting first if there is none. Owned by the connection and valid until control returns to the
  // loop. kNotFound or kUnavailable if nobody listens, kPermissionDenied if the listener is not a trusted peer.
  base::Result<ttrpc::Client*> Get();
  // Gives the current client up, if any: its pending calls are dropped without an answer. Safe in its callbacks.
  void Drop();
  bool is_open() const { return client_ != nullptr && client_->is_open(); }
  const std::string& path() const { return path_; }

 private:
  base::EventLoop& loop_;
  std::string path_;
  std::unique_ptr<ttrpc::Client> client_;
};

}  // namespace bulwark::shim
