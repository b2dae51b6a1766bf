#include "lib/ttrpc/client.h"

#include <algorithm>
#include <map>

#include "containerd/ttrpc.pb.h"
#include "lib/base/unix_socket.h"
#include "lib/ttrpc/channel.h"
#include "lib/ttrpc/status.h"

namespace bulwark::ttrpc {
namespace {

using base::Code;
using base::Error;
using base::Result;

constexpr uint32_t kStreamIdLast = 0xfffffffd;  // client stream ids are odd
constexpr int64_t kNanosPerMilli = 1'000'000;
constexpr int64_t kTimeoutMaxMs = INT64_MAX / kNanosPerMilli;  // what the request can carry

Result<std::string> PayloadOf(const Frame& frame) {
  if (frame.is_oversized) {
    return Error::Make(Code::kResourceExhausted, "receive response of {} bytes: the maximum is {}",
                       frame.header.length, kFramePayloadBytesMax);
  }
  containerd::ttrpc::Response response;
  if (!response.ParseFromArray(frame.payload.data(), static_cast<int>(frame.payload.size()))) {
    return Error(Code::kInternal, "decode response: malformed message");
  }
  if (!IsOk(response.status())) return ErrorFromStatus(response.status());
  return std::move(*response.mutable_payload());
}

}  // namespace

struct Client::Impl : public Channel {
  struct PendingCall {
    Callback callback;
    base::EventLoop::TimerId timer = 0;
  };

  Impl(base::EventLoop& event_loop, base::UniqueFd socket, std::function<void()> close_callback)
      : Channel(event_loop, std::move(socket), ChannelLimits()),
        on_close(std::move(close_callback)) {}

  std::shared_ptr<Impl> Self() { return std::static_pointer_cast<Impl>(shared_from_this()); }

  // Answers a call that was never sent. Posted: a callback never runs before Call returns.
  void FailLater(Callback callback, Error error) {
    loop().Post([weak = std::weak_ptr<Impl>(Self()), callback = std::move(callback),
                 error = std::move(error)] {
      const auto self = weak.lock();
      if (self != nullptr && !self->abandoned) callback(error);
    });
  }

  void Start(const containerd::ttrpc::Request& request, int64_t timeout_ms, Callback callback) {
    if (!can_send() || next_stream_id > kStreamIdLast) {
      FailLater(std::move(callback),
                Error(Code::kUnavailable, can_send() ? "call: stream ids used up"
                                                     : "call: connection closed"));
      return;
    }
    const uint32_t stream_id = next_stream_id;
    auto frame = EncodeFrame(stream_id, kFrameRequest, request);
    if (!frame) {
      FailLater(std::move(callback), std::move(frame).error().Wrap("call {}", request.method()));
      return;
    }
    next_stream_id += 2;
    PendingCall& call = pending[stream_id];
    call.callback = std::move(callback);
    if (timeout_ms > 0) {
      call.timer = loop().AddTimer(
          timeout_ms, [this, stream_id, timeout_ms] { Expire(stream_id, timeout_ms); });
    }
    Send(*std::move(frame));
  }

  void Expire(uint32_t stream_id, int64_t timeout_ms) {
    const auto it = pending.find(stream_id);
    if (it == pending.end()) return;
    const auto self = shared_from_this();
    const Callback callback = std::move(it->second.callback);
    pending.erase(it);
    callback(Error::Make(Code::kDeadlineExceeded, "wait for response: none within {} ms",
                         timeout_ms));
  }

  // An answer that nobody waits for is one that came after its deadline.
  void OnFrame(const Frame& frame) override {
    if (frame.header.type != kFrameResponse) return;
    const auto it = pending.find(frame.header.stream_id);
    if (it == pending.end()) return;
    const PendingCall call = std::move(it->second);
    pending.erase(it);
    if (call.timer != 0) loop().CancelTimer(call.timer);
    call.callback(PayloadOf(frame));
  }

  void OnEnding() override { Finish(); }

  void Finish() {
    const auto self = shared_from_this();
    Close();
    const auto failed = std::move(pending);
    pending.clear();
    for (const auto& [stream_id, call] : failed) {
      if (call.timer != 0) loop().CancelTimer(call.timer);
    }
    for (const auto& [stream_id, call] : failed) {
      if (abandoned) return;
      call.callback(Error(Code::kUnavailable, "wait for response: connection closed"));
    }
    if (abandoned || !on_close) return;
    const auto closed = std::exchange(on_close, nullptr);
    closed();
  }

  void Abandon() {
    abandoned = true;
    Close();
    const auto dropped = std::move(pending);
    pending.clear();
    for (const auto& [stream_id, call] : dropped) {
      if (call.timer != 0) loop().CancelTimer(call.timer);
    }
  }

  std::function<void()> on_close;
  std::map<uint32_t, PendingCall> pending;
  uint32_t next_stream_id = 1;
  bool abandoned = false;  // the Client is gone
};

Client::Client(base::EventLoop& loop, base::UniqueFd socket, std::function<void()> on_close)
    : impl_(std::make_shared<Impl>(loop, std::move(socket), std::move(on_close))) {
  if (impl_->Open()) return;
  loop.Post([weak = std::weak_ptr<Impl>(impl_)] {
    const auto self = weak.lock();
    if (self != nullptr && !self->abandoned) self->Finish();
  });
}

Client::~Client() { impl_->Abandon(); }

void Client::Call(std::string_view service, std::string_view method, std::string payload,
                  const CallOptions& options, Callback callback) {
  containerd::ttrpc::Request request;
  request.set_service(std::string(service));
  request.set_method(std::string(method));
  request.set_payload(std::move(payload));
  const int64_t timeout_ms = std::clamp<int64_t>(options.timeout_ms, 0, kTimeoutMaxMs);
  request.set_timeout_nano(timeout_ms * kNanosPerMilli);
  for (const auto& [key, value] : options.metadata) {
    auto* entry = request.add_metadata();
    entry->set_key(key);
    entry->set_value(value);
  }
  impl_->Start(request, timeout_ms, std::move(callback));
}

bool Client::is_open() const { return impl_->can_send(); }

size_t Client::pending_calls() const { return impl_->pending.size(); }

Result<std::string> CallBlocking(const std::string& socket_path, std::string_view service,
                                 std::string_view method, std::string payload,
                                 int64_t timeout_ms) {
  ASSIGN_OR_RETURN(const auto loop, base::EventLoop::Create());
  ASSIGN_OR_RETURN(base::UniqueFd socket, base::ConnectUnix(socket_path));
  Result<std::string> answer = Error(Code::kInternal, "call: not answered");
  bool is_answered = false;
  Client client(*loop, std::move(socket), nullptr);
  CallOptions options;
  options.timeout_ms = timeout_ms > 0 ? timeout_ms : 1;
  client.Call(service, method, std::move(payload), options, [&](Result<std::string> result) {
    answer = std::move(result);
    is_answered = true;
  });
  while (!is_answered) RETURN_IF_ERROR(loop->RunOnce(-1));
  return answer;
}

}  // namespace bulwark::ttrpc
