#include "shim/link/connection.h"

#include <unistd.h>

#include <utility>

namespace bulwark::shim {

bool IsTrustedPeer(const base::PeerCredentials& peer) {
  return peer.uid == 0 || peer.uid == geteuid();
}

Connection::Connection(base::EventLoop& loop, std::string path)
    : loop_(loop), path_(std::move(path)), generation_(std::make_shared<uint64_t>(0)) {}

Connection::~Connection() { ++*generation_; }

base::Status Connection::Connect() {
  ASSIGN_OR_RETURN(base::UniqueFd socket, base::ConnectUnix(path_));
  ASSIGN_OR_RETURN(const base::PeerCredentials peer, base::PeerOf(socket.get()));
  if (!IsTrustedPeer(peer)) {
    return base::Error::Make(base::Code::kPermissionDenied,
                             "connect to {}: the listener runs as user {}, which is not trusted",
                             path_, peer.uid);
  }
  client_ = std::make_unique<ttrpc::Client>(
      loop_, std::move(socket),
      [this, alive = std::weak_ptr(generation_), number = ++number_] {
        if (!alive.expired()) OnClose(number);
      });
  return base::OkStatus();
}

base::Status Connection::Call(std::string_view service, std::string_view method,
                              std::string payload, const ttrpc::CallOptions& options,
                              ttrpc::Client::Callback callback) {
  // Its remaining calls are about to be told that it broke: they still hear of it.
  if (client_ != nullptr && !client_->is_open()) broken_.emplace(number_, std::move(client_));
  if (client_ == nullptr) RETURN_IF_ERROR(Connect());
  client_->Call(service, method, std::move(payload), options,
                [current = generation_, mine = *generation_,
                 run = std::move(callback)](base::Result<std::string> answer) {
                  if (*current == mine) run(std::move(answer));
                });
  return base::OkStatus();
}

void Connection::Drop() {
  ++*generation_;
  DestroySoon(std::move(client_));
  for (auto& [number, client] : std::exchange(broken_, {})) DestroySoon(std::move(client));
}

// All its calls have been told.
void Connection::OnClose(uint64_t number) {
  if (client_ != nullptr && number == number_) return DestroySoon(std::move(client_));
  const auto it = broken_.find(number);
  if (it == broken_.end()) return;
  DestroySoon(std::move(it->second));
  broken_.erase(it);
}

// Not at once: the caller may be one of its callbacks, and a call that could not be sent is
// answered by a posted task.
void Connection::DestroySoon(std::unique_ptr<ttrpc::Client> client) {
  if (client == nullptr) return;
  loop_.Post([dropped = std::shared_ptr<ttrpc::Client>(std::move(client))] {});
}

}  // namespace bulwark::shim
