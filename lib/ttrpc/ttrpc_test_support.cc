#include "lib/ttrpc/ttrpc_test_support.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <chrono>
#include <filesystem>

#include "containerd/ttrpc.pb.h"
#include "lib/base/unix_socket.h"

namespace bulwark::ttrpc {

size_t RawPeer::Send(const std::string& bytes) {
  size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t now = send(socket_.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (now <= 0) break;
    sent += static_cast<size_t>(now);
  }
  return sent;
}

std::string RawPeer::RawFrame(uint32_t length, uint32_t stream_id, uint8_t type,
                              const std::string& payload) {
  FrameHeader header;
  header.length = length;
  header.stream_id = stream_id;
  header.type = type;
  std::string frame(kFrameHeaderBytes, '\0');
  EncodeFrameHeader(header, frame.data());
  return frame + payload;
}

std::string RawPeer::Request(uint32_t stream_id, const std::string& method,
                             const std::string& payload) {
  containerd::ttrpc::Request request;
  request.set_service("s");
  request.set_method(method);
  request.set_payload(payload);
  const std::string bytes = request.SerializeAsString();
  return RawFrame(static_cast<uint32_t>(bytes.size()), stream_id, kFrameRequest, bytes);
}

bool RawPeer::Receive() {
  char chunk[65536];
  const ssize_t got = recv(socket_.get(), chunk, sizeof chunk, MSG_DONTWAIT);
  if (got < 0) return errno == EAGAIN;
  if (got == 0) return false;
  std::string_view input(chunk, static_cast<size_t>(got));
  while (const auto frame = decoder_.Next(input)) {
    containerd::ttrpc::Response response;
    EXPECT_EQ(frame->header.type, kFrameResponse);
    EXPECT_TRUE(response.ParseFromArray(frame->payload.data(),
                                        static_cast<int>(frame->payload.size())));
    Answer answer;
    answer.stream_id = frame->header.stream_id;
    answer.code = response.status().code();
    answer.message = response.status().message();
    answer.payload = response.payload();
    answers_.push_back(std::move(answer));
  }
  return true;
}

void TtrpcTest::SetUp() {
  char name[] = "/tmp/bulwark-ttrpc-XXXXXX";
  ASSERT_NE(mkdtemp(name), nullptr);
  dir_ = name;
  path_ = dir_ + "/s.sock";
  loop_ = base::EventLoop::Create().value();
}

void TtrpcTest::TearDown() {
  held_.clear();
  server_.reset();
  std::filesystem::remove_all(dir_);
}

void TtrpcTest::StartServer(ServerOptions options) {
  server_ = std::make_unique<Server>(
      *loop_, std::move(options), [this](ServerCall call, const Responder& responder) {
        ++calls_seen_;
        last_call_ = call;
        if (call.method == "echo") {
          responder.Reply(call.payload);
        } else if (call.method == "fail") {
          responder.Reply(base::Error(base::Code::kNotFound, "no such task"));
        } else if (call.method == "big") {
          responder.Reply(std::string(std::stoul(call.payload), 'b'));
        } else if (call.method == "hold") {
          held_.emplace_back(std::move(call), responder);
        }
      });
  ASSERT_TRUE(server_->Serve(base::ListenUnix(path_, 0600).value()));
}

base::UniqueFd TtrpcTest::Connect() { return base::ConnectUnix(path_).value(); }

std::unique_ptr<Client> TtrpcTest::MakeClient() {
  return std::make_unique<Client>(*loop_, Connect(), nullptr);
}

void TtrpcTest::RunUntil(const std::function<bool()>& is_done) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!is_done()) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "waited for too long";
    ASSERT_TRUE(loop_->RunOnce(10));
  }
}

base::Result<std::string> TtrpcTest::CallAndWait(Client& client, const std::string& method,
                                                 const std::string& payload, CallOptions options) {
  std::optional<base::Result<std::string>> answer;
  client.Call("s", method, payload, options,
              [&](base::Result<std::string> result) { answer = std::move(result); });
  RunUntil([&] { return answer.has_value(); });
  if (!answer) return base::Error(base::Code::kInternal, "no answer in the test's time");
  return *std::move(answer);
}

std::optional<RawPeer::Answer> TtrpcTest::NextAnswer(RawPeer& peer) {
  bool is_open = true;
  RunUntil([&] {
    is_open = is_open && peer.Receive();
    return !peer.answers().empty() || !is_open;
  });
  if (peer.answers().empty()) return std::nullopt;
  RawPeer::Answer answer = std::move(peer.answers().front());
  peer.answers().pop_front();
  return answer;
}

}  // namespace bulwark::ttrpc
