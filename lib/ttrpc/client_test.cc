#include "lib/ttrpc/client.h"

#include <sys/socket.h>

#include <thread>

#include "containerd/ttrpc.pb.h"
#include "lib/base/unix_socket.h"
#include "lib/ttrpc/ttrpc_test_support.h"

namespace bulwark::ttrpc {
namespace {

using base::Code;
using base::Result;

class ClientTest : public TtrpcTest {
 protected:
  // A client whose peer is the test itself.
  std::unique_ptr<Client> MakeRawClient(std::function<void()> on_close = nullptr) {
    int pair[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    peer_ = std::make_unique<RawPeer>(base::UniqueFd(pair[1]));
    return std::make_unique<Client>(*loop_, base::UniqueFd(pair[0]), std::move(on_close));
  }
  static std::string ResponseFrame(uint32_t stream_id, const std::string& payload) {
    containerd::ttrpc::Response response;
    response.set_payload(payload);
    const std::string bytes = response.SerializeAsString();
    return RawPeer::RawFrame(static_cast<uint32_t>(bytes.size()), stream_id, kFrameResponse, bytes);
  }

  std::unique_ptr<RawPeer> peer_;
};

TEST_F(ClientTest, ACallReachesTheServerWithEverythingItCarries) {
  StartServer();
  const auto client = MakeClient();
  CallOptions options;
  options.timeout_ms = 5000;
  options.metadata = {{"containerd-namespace-ttrpc", "k8s.io"}, {"k", "1"}, {"k", "2"}};
  const std::string payload("\0binary\xff", 8);
  EXPECT_EQ(CallAndWait(*client, "echo", payload, options).value(), payload);
  EXPECT_EQ(last_call_.service, "s");
  EXPECT_EQ(last_call_.method, "echo");
  EXPECT_EQ(last_call_.timeout_ns, int64_t{5'000'000'000});
  EXPECT_EQ(last_call_.metadata, options.metadata);
  EXPECT_EQ(last_call_.peer.pid, getpid());
  EXPECT_EQ(client->pending_calls(), 0U);
}

TEST_F(ClientTest, AnErrorKeepsItsCodeAndMessage) {
  StartServer();
  const auto client = MakeClient();
  const auto answer = CallAndWait(*client, "fail", "");
  EXPECT_EQ(answer.error().code(), Code::kNotFound);
  EXPECT_EQ(answer.error().message(), "no such task");
}

TEST_F(ClientTest, AnswersInAnyOrderReachTheirOwnCalls) {
  StartServer();
  const auto client = MakeClient();
  std::vector<std::string> answers(3);
  for (size_t i = 0; i < 3; ++i) {
    client->Call("s", "hold", std::to_string(i), {},
                 [&, i](Result<std::string> result) { answers[i] = *std::move(result); });
  }
  RunUntil([&] { return held_.size() == 3; });
  for (size_t i = 3; i-- > 0;) held_[i].second.Reply("answer " + held_[i].first.payload);
  RunUntil([&] { return client->pending_calls() == 0; });
  EXPECT_EQ(answers, (std::vector<std::string>{"answer 0", "answer 1", "answer 2"}));
}

TEST_F(ClientTest, ACallWithoutAnAnswerEndsAtItsDeadlineAndTheLateAnswerIsIgnored) {
  StartServer();
  const auto client = MakeClient();
  CallOptions options;
  options.timeout_ms = 20;
  EXPECT_EQ(CallAndWait(*client, "hold", "", options).error().code(), Code::kDeadlineExceeded);
  ASSERT_EQ(held_.size(), 1U);
  held_[0].second.Reply(std::string("late"));
  EXPECT_EQ(CallAndWait(*client, "echo", "next").value(), "next");
}

TEST_F(ClientTest, WhenTheServerGoesEveryCallFailsAndThenTheCloseIsReported) {
  std::vector<std::string> events;
  const auto client = MakeRawClient([&] { events.emplace_back("closed"); });
  for (int i = 0; i < 2; ++i) {
    client->Call("s", "m", "", {}, [&](const Result<std::string>& result) {
      EXPECT_EQ(result.error().code(), Code::kUnavailable);
      events.emplace_back("failed");
    });
  }
  peer_->socket().Reset();
  RunUntil([&] { return events.size() == 3; });
  EXPECT_EQ(events, (std::vector<std::string>{"failed", "failed", "closed"}));
  EXPECT_FALSE(client->is_open());
  EXPECT_EQ(CallAndWait(*client, "m", "").error().code(), Code::kUnavailable);
}

TEST_F(ClientTest, AnAnswerSentBeforeTheServerWentIsDelivered) {
  const auto client = MakeRawClient();
  std::string answer;
  client->Call("s", "m", "", {}, [&](Result<std::string> result) { answer = *std::move(result); });
  const std::string large(100'000, 'a');
  EXPECT_EQ(peer_->Send(ResponseFrame(1, large)), large.size() + 14);
  peer_->socket().Reset();
  // This one meets the broken connection first.
  EXPECT_EQ(CallAndWait(*client, "m", "").error().code(), Code::kUnavailable);
  EXPECT_EQ(answer, large);
}

TEST_F(ClientTest, ACallbackNeverRunsBeforeCallReturns) {
  const auto client = MakeRawClient();
  peer_->socket().Reset();
  bool has_returned = false;
  int calls = 0;
  const auto check = [&](const Result<std::string>& result) {
    EXPECT_TRUE(has_returned);
    EXPECT_FALSE(result);
    ++calls;
  };
  client->Call("s", "m", "", {}, check);
  client->Call("s", "m", "", {}, check);
  client->Call("s", "m", std::string(kFramePayloadBytesMax, 'x'), {}, check);
  has_returned = true;
  RunUntil([&] { return calls == 3; });
}

TEST_F(ClientTest, ARequestOverTheLimitFailsAloneAndOneAtTheLimitPasses) {
  StartServer();
  const auto client = MakeClient();
  EXPECT_EQ(CallAndWait(*client, "echo", std::string(kFramePayloadBytesMax, 'x')).error().code(),
            Code::kResourceExhausted);
  const std::string fits(kFramePayloadBytesMax - 64, 'x');
  EXPECT_TRUE(CallAndWait(*client, "echo", fits).value() == fits);
  EXPECT_EQ(calls_seen_, 1);
}

TEST_F(ClientTest, DestroyingTheClientDropsItsCallbacks) {
  StartServer();
  auto client = MakeClient();
  auto held = std::make_shared<int>(0);
  CallOptions options;
  options.timeout_ms = 1;
  client->Call("s", "hold", "", options, [held](const Result<std::string>&) { FAIL(); });
  client->Call("s", "m", std::string(kFramePayloadBytesMax, 'x'), {},
               [held](const Result<std::string>&) { FAIL(); });
  client.reset();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(loop_->RunOnce(2));
  EXPECT_EQ(held.use_count(), 1);
}

TEST_F(ClientTest, TheClientMayBeDestroyedInAnyOfItsCallbacks) {
  StartServer();
  auto client = MakeClient();
  client->Call("s", "echo", "", {}, [&](const Result<std::string>&) { client.reset(); });
  client->Call("s", "echo", "", {}, [](const Result<std::string>&) { FAIL(); });
  RunUntil([&] { return client == nullptr; });
  client = MakeClient();
  CallOptions options;
  options.timeout_ms = 1;
  client->Call("s", "hold", "", options, [&](const Result<std::string>&) { client.reset(); });
  RunUntil([&] { return client == nullptr; });
  client = MakeRawClient([&] { client.reset(); });
  client->Call("s", "m", "", {}, [](const Result<std::string>&) {});
  peer_->socket().Reset();
  RunUntil([&] { return client == nullptr; });
  client = MakeRawClient([] { FAIL(); });
  client->Call("s", "m", "", {}, [&](const Result<std::string>&) { client.reset(); });
  client->Call("s", "m", "", {}, [](const Result<std::string>&) { FAIL(); });
  peer_->socket().Reset();
  RunUntil([&] { return client == nullptr; });
}

TEST_F(ClientTest, FramesThatFitNoCallAreIgnored) {
  const auto client = MakeRawClient();
  peer_->Send(ResponseFrame(1, "before any call") + ResponseFrame(2, "even") +
              RawPeer::RawFrame(3, 1, 3, "abc") + RawPeer::RawFrame(0, 1, 200, ""));
  ASSERT_TRUE(loop_->RunOnce(10));
  std::string answer;
  client->Call("s", "m", "", {}, [&](Result<std::string> result) { answer = *std::move(result); });
  peer_->Send(RawPeer::RawFrame(3, 1, 3, "abc") + ResponseFrame(1, "mine"));
  RunUntil([&] { return !answer.empty(); });
  EXPECT_EQ(answer, "mine");
}

TEST_F(ClientTest, BadResponsesFailTheirCallOnly) {
  const auto client = MakeRawClient();
  std::vector<Code> codes;
  for (int i = 0; i < 2; ++i) {
    client->Call("s", "m", "", {},
                 [&](const Result<std::string>& r) { codes.push_back(r.error().code()); });
  }
  std::string answer;
  client->Call("s", "m", "", {}, [&](Result<std::string> result) { answer = *std::move(result); });
  constexpr uint32_t kTooLarge = (4 << 20) + 1;
  std::string bytes = RawPeer::RawFrame(3, 1, kFrameResponse, "\xff\xff\xff") +
                      RawPeer::RawFrame(kTooLarge, 3, kFrameResponse, std::string(kTooLarge, 'x')) +
                      ResponseFrame(5, "fine");
  RunUntil([&] {
    bytes.erase(0, peer_->Send(bytes));
    return !answer.empty();
  });
  EXPECT_EQ(codes, (std::vector<Code>{Code::kInternal, Code::kResourceExhausted}));
  EXPECT_EQ(answer, "fine");
}

TEST_F(ClientTest, AServerThatNeverReadsCostsNoMoreThanTheBound) {
  const auto client = MakeRawClient();
  int failed = 0;
  int made = 0;
  while (client->is_open() && made < 100) {
    ++made;
    client->Call("s", "m", std::string(1 << 20, 'x'), {}, [&](const Result<std::string>& result) {
      EXPECT_EQ(result.error().code(), Code::kUnavailable);
      ++failed;
    });
  }
  EXPECT_LT(made, 12);
  RunUntil([&] { return failed == made; });
}

TEST_F(ClientTest, ManyCallsOnOneConnectionAllGetTheirAnswer) {
  StartServer();
  const auto client = MakeClient();
  constexpr int kCalls = 5000;
  int answered = 0;
  int sent = 0;
  RunUntil([&] {
    for (; sent < kCalls && client->pending_calls() < 500; ++sent) {
      client->Call("s", "echo", std::to_string(sent), {},
                   [&, id = sent](const Result<std::string>& result) {
                     EXPECT_EQ(*result, std::to_string(id));
                     ++answered;
                   });
    }
    return answered == kCalls;
  });
}

TEST_F(ClientTest, CallBlockingCallsOnceWithinItsTime) {
  StartServer();
  std::thread caller([&] {
    EXPECT_EQ(CallBlocking(path_, "s", "echo", "hello", 5000).value(), "hello");
    EXPECT_EQ(CallBlocking(path_, "s", "fail", "", 5000).error().code(), Code::kNotFound);
    EXPECT_EQ(CallBlocking(path_, "s", "hold", "", 30).error().code(), Code::kDeadlineExceeded);
    EXPECT_EQ(CallBlocking(path_ + "x", "s", "m", "", 30).error().code(), Code::kNotFound);
    loop_->Stop();
  });
  ASSERT_TRUE(loop_->Run());
  caller.join();
}

}  // namespace
}  // namespace bulwark::ttrpc
