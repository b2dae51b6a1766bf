// A ttrpc connection that comes back: opens a client to a unix socket when it is wanted, checks who
// listens, and forgets it when it breaks. Decides nothing about retries; its users do. Thread: the
// loop's.
#pragma once

#include <stdint.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>

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

  // Calls, connecting first if there is no connection. On success `callback` runs once, later
  // (ttrpc::Client::Call), unless Drop comes first. An error means that nothing was sent and
  // `callback` will not run: kNotFound or kUnavailable if nobody listens, kPermissionDenied if the
  // listener is not a trusted peer.
  base::Status Call(std::string_view service, std::string_view method, std::string payload,
                    const ttrpc::CallOptions& options, ttrpc::Client::Callback callback);
  // Closes the connection, if any: callbacks of its pending calls do not run any more. Safe in a
  // callback.
  void Drop();
  const std::string& path() const { return path_; }

 private:
  base::Status Connect();
  void OnClose(uint64_t number);
  void DestroySoon(std::unique_ptr<ttrpc::Client> client);

  base::EventLoop& loop_;
  std::string path_;
  std::unique_ptr<ttrpc::Client> client_;
  uint64_t number_ = 0;  // of client_, counted from 1
  // Broken clients, by number, until they have told their remaining calls so.
  std::map<uint64_t, std::unique_ptr<ttrpc::Client>> broken_;
  std::shared_ptr<uint64_t> generation_;  // counts Drops; callbacks of an earlier one are stale
};

}  // namespace bulwark::shim
