#include "lib/ttrpc/server.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <unordered_map>

#include "containerd/ttrpc.pb.h"
#include "lib/ttrpc/channel.h"
#include "lib/ttrpc/status.h"

namespace bulwark::ttrpc {
namespace {

using base::Code;
using base::Error;
using base::Result;

constexpr int kAcceptsPerEvent = 16;
constexpr int64_t kAcceptPauseMs = 100;  // when no descriptors are left
constexpr size_t kPauseReadingBytes = 1 << 20;

bool IsRootOrOurselves(const base::PeerCredentials& peer) {
  return peer.uid == 0 || peer.uid == geteuid();
}

std::string EncodeAnswer(uint32_t stream_id, Result<std::string> payload) {
  containerd::ttrpc::Response response;
  if (payload) {
    response.set_payload(*std::move(payload));
  } else {
    *response.mutable_status() = StatusFromError(payload.error());
  }
  auto frame = EncodeFrame(stream_id, kFrameResponse, response);
  if (frame) return *std::move(frame);
  response.Clear();
  *response.mutable_status() = StatusFromError(frame.error());
  return EncodeFrame(stream_id, kFrameResponse, response).value();
}

Result<ServerCall> DecodeCall(const Frame& frame) {
  containerd::ttrpc::Request request;
  if (!request.ParseFromArray(frame.payload.data(), static_cast<int>(frame.payload.size()))) {
    return Error(Code::kInvalidArgument, "decode request: malformed message");
  }
  ServerCall call;
  call.service = std::move(*request.mutable_service());
  call.method = std::move(*request.mutable_method());
  call.payload = std::move(*request.mutable_payload());
  call.timeout_ns = request.timeout_nano();
  call.metadata.reserve(static_cast<size_t>(request.metadata_size()));
  for (auto& entry : *request.mutable_metadata()) {
    call.metadata.emplace_back(std::move(*entry.mutable_key()), std::move(*entry.mutable_value()));
  }
  return call;
}

// A connection as its responders see it.
class Caller : public Channel {
 public:
  using Channel::Channel;

  // Ends the call that a Responder stands for.
  void Answer(uint32_t stream_id, bool is_long_wait, Result<std::string> payload) {
    --InFlight(is_long_wait);
    if (can_send()) Send(EncodeAnswer(stream_id, std::move(payload)));
    RemoveIfDone();
  }

 protected:
  size_t& InFlight(bool is_long_wait) { return is_long_wait ? waits_in_flight_ : calls_in_flight_; }
  bool has_calls_in_flight() const { return calls_in_flight_ > 0 || waits_in_flight_ > 0; }

 private:
  size_t calls_in_flight_ = 0;
  size_t waits_in_flight_ = 0;
  virtual void RemoveIfDone() = 0;
};

}  // namespace

struct Responder::State {
  State(std::weak_ptr<Caller> connection, uint32_t stream, bool is_wait)
      : caller(std::move(connection)), stream_id(stream), is_long_wait(is_wait) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { Answer(Error(Code::kInternal, "serve call: the handler gave no answer")); }

  void Answer(Result<std::string> payload) {
    if (std::exchange(is_answered, true)) return;
    if (const auto connection = caller.lock()) {
      connection->Answer(stream_id, is_long_wait, std::move(payload));
    }
  }

  const std::weak_ptr<Caller> caller;
  const uint32_t stream_id;
  const bool is_long_wait;
  bool is_answered = false;
};

Responder::Responder(std::shared_ptr<State> state) : state_(std::move(state)) {}

void Responder::Reply(Result<std::string> payload) const { state_->Answer(std::move(payload)); }

bool Responder::is_connected() const {
  const auto connection = state_->caller.lock();
  return connection != nullptr && connection->can_send();
}

struct Server::Impl : public std::enable_shared_from_this<Server::Impl> {
  class Connection;

  Impl(base::EventLoop& event_loop, ServerOptions server_options, Handler call_handler)
      : loop(event_loop), options(std::move(server_options)), handler(std::move(call_handler)) {
    if (!options.accept_peer) options.accept_peer = IsRootOrOurselves;
  }

  base::Status WatchListener();
  void CloseListener();
  void OnListenerReady();
  void PauseAccepting();
  void Admit(base::UniqueFd socket);
  void Shutdown();

  base::EventLoop& loop;
  ServerOptions options;
  Handler handler;
  base::UniqueFd listener;
  base::EventLoop::TimerId accept_timer = 0;  // set while accepting pauses
  std::unordered_map<const Connection*, std::shared_ptr<Connection>> connections;
};

class Server::Impl::Connection : public Caller {
 public:
  Connection(const std::shared_ptr<Impl>& server, base::UniqueFd socket,
             const base::PeerCredentials& peer)
      : Caller(server->loop, std::move(socket), Limits()), server_(server), peer_(peer) {}

 private:
  static ChannelLimits Limits() {
    ChannelLimits limits;
    limits.pause_reading_bytes = kPauseReadingBytes;
    return limits;
  }

  void OnFrame(const Frame& frame) override;
  void OnEnding() override { RemoveIfDone(); }
  void RemoveIfDone() override;
  base::Status CheckStream(const Frame& frame);

  const std::weak_ptr<Impl> server_;  // gone when the Server is
  const base::PeerCredentials peer_;
  uint32_t last_stream_id_ = 0;
};

// PROTOCOL.md, "Streams": the client's ids are odd and increase.
base::Status Server::Impl::Connection::CheckStream(const Frame& frame) {
  const uint32_t stream_id = frame.header.stream_id;
  if (stream_id % 2 == 0) {
    return Error::Make(Code::kInvalidArgument, "open stream {}: client stream ids are odd",
                       stream_id);
  }
  if (stream_id <= last_stream_id_) {
    return Error::Make(Code::kInvalidArgument, "open stream {}: stream ids must increase from {}",
                       stream_id, last_stream_id_);
  }
  last_stream_id_ = stream_id;
  if (frame.is_oversized) {
    return Error::Make(Code::kResourceExhausted, "receive request of {} bytes: the maximum is {}",
                       frame.header.length, kFramePayloadBytesMax);
  }
  return base::OkStatus();
}

void Server::Impl::Connection::OnFrame(const Frame& frame) {
  if (frame.header.type != kFrameRequest) return;
  const auto server = server_.lock();
  if (server == nullptr) return;
  const uint32_t stream_id = frame.header.stream_id;
  if (auto valid = CheckStream(frame); !valid) {
    Send(EncodeAnswer(stream_id, std::move(valid).error()));
    return;
  }
  auto call = DecodeCall(frame);
  if (!call) {
    Send(EncodeAnswer(stream_id, std::move(call).error()));
    return;
  }
  const ServerOptions& options = server->options;
  const bool is_long_wait =
      options.is_long_wait && options.is_long_wait(call->service, call->method);
  size_t& in_flight = InFlight(is_long_wait);
  if (in_flight >= (is_long_wait ? options.long_waits_per_connection_max
                                 : options.calls_per_connection_max)) {
    Send(EncodeAnswer(stream_id,
                      Error::Make(Code::kResourceExhausted,
                                  "serve call: {} calls are in flight already", in_flight)));
    return;
  }
  call->peer = peer_;
  ++in_flight;
  const auto self = std::static_pointer_cast<Connection>(shared_from_this());
  server->handler(*std::move(call), Responder(std::make_shared<Responder::State>(
                                        self, stream_id, is_long_wait)));
}

// A peer that has half-closed still gets the answers it waits for; one that is gone does not.
void Server::Impl::Connection::RemoveIfDone() {
  if (!is_open() || !has_input_ended()) return;
  if (can_send() && (has_calls_in_flight() || unsent_bytes() > 0)) return;
  const auto self = shared_from_this();
  Close();
  if (const auto server = server_.lock()) server->connections.erase(this);
}

base::Status Server::Impl::WatchListener() {
  return loop.Watch(listener.get(), EPOLLIN, [this](uint32_t) { OnListenerReady(); });
}

void Server::Impl::CloseListener() {
  if (accept_timer != 0) loop.CancelTimer(std::exchange(accept_timer, 0));
  if (!listener.is_open()) return;
  loop.Unwatch(listener.get());
  listener.Reset();
}

void Server::Impl::OnListenerReady() {
  const auto self = shared_from_this();  // on_refused_peer may destroy the Server
  for (int i = 0; i < kAcceptsPerEvent && listener.is_open(); ++i) {
    auto accepted = base::AcceptUnix(listener.get());
    if (accepted) {
      Admit(*std::move(accepted));
      continue;
    }
    // Out of descriptors or memory: the waiting connection keeps the listener readable, so look
    // away for a while.
    if (accepted.error().code() != Code::kUnavailable) PauseAccepting();
    return;
  }
}

void Server::Impl::PauseAccepting() {
  loop.Unwatch(listener.get());
  accept_timer = loop.AddTimer(kAcceptPauseMs, [this] {
    accept_timer = 0;
    if (!WatchListener()) PauseAccepting();
  });
}

void Server::Impl::Admit(base::UniqueFd socket) {
  const auto peer = base::PeerOf(socket.get());
  if (!peer) return;
  if (!options.accept_peer(*peer)) {
    if (options.on_refused_peer) options.on_refused_peer(*peer);
    return;
  }
  if (connections.size() >= options.connections_max) return;
  auto connection = std::make_shared<Connection>(shared_from_this(), std::move(socket), *peer);
  if (!connection->Open()) return;
  connections.emplace(connection.get(), connection);
}

void Server::Impl::Shutdown() {
  CloseListener();
  const auto closing = std::move(connections);
  connections.clear();
  for (const auto& [key, connection] : closing) connection->Close();
}

Server::Server(base::EventLoop& loop, ServerOptions options, Handler handler)
    : impl_(std::make_shared<Impl>(loop, std::move(options), std::move(handler))) {}

Server::~Server() { impl_->Shutdown(); }

base::Status Server::Serve(base::UniqueFd listener) {
  if (impl_->listener.is_open()) {
    return Error(Code::kFailedPrecondition, "serve: there is a listener already");
  }
  impl_->listener = std::move(listener);
  auto watched = impl_->WatchListener();
  if (!watched) impl_->listener.Reset();
  return watched;
}

void Server::StopAccepting() { impl_->CloseListener(); }

size_t Server::connection_count() const { return impl_->connections.size(); }

void Server::FlushThen(std::function<void()> done) {
  // Every connection with unsent output holds the token; when the last lets go of it, all is
  // written or gone.
  const std::shared_ptr<void> token(
      nullptr, [&loop = impl_->loop, done = std::move(done)](void*) { loop.Post(done); });
  for (const auto& [key, connection] : impl_->connections) connection->HoldUntilFlushed(token);
}

}  // namespace bulwark::ttrpc
