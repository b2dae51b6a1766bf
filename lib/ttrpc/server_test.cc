#include "lib/ttrpc/server.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "lib/base/unix_socket.h"
#include "lib/ttrpc/ttrpc_test_support.h"

namespace bulwark::ttrpc {
namespace {

using base::Code;

constexpr int32_t kInvalidArgument = 3;
constexpr int32_t kResourceExhausted = 8;
constexpr int32_t kInternal = 13;

class ServerTest : public TtrpcTest {
 protected:
  RawPeer ConnectRaw() { return RawPeer(Connect()); }
};

TEST_F(ServerTest, StreamIdsMustBeOddAndIncrease) {
  StartServer();
  RawPeer peer = ConnectRaw();
  peer.Send(RawPeer::Request(2, "echo", "") + RawPeer::Request(5, "echo", "five") +
            RawPeer::Request(5, "echo", "") + RawPeer::Request(3, "echo", "") +
            RawPeer::Request(0, "echo", "") + RawPeer::Request(0xffffffff, "echo", "last"));
  const std::vector<std::pair<uint32_t, int32_t>> expected = {
      {2, kInvalidArgument}, {5, 0}, {5, kInvalidArgument}, {3, kInvalidArgument},
      {0, kInvalidArgument}, {0xffffffff, 0}};
  for (const auto& [stream_id, code] : expected) {
    const auto answer = NextAnswer(peer);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->stream_id, stream_id);
    EXPECT_EQ(answer->code, code) << stream_id;
  }
  EXPECT_EQ(calls_seen_, 2);
}

TEST_F(ServerTest, ForgottenWaitsDoNotKeepOtherCallsOut) {
  ServerOptions options;
  options.is_long_wait = [](std::string_view, std::string_view method) { return method == "hold"; };
  options.long_waits_per_connection_max = 1100;
  StartServer(options);
  RawPeer peer = ConnectRaw();
  uint32_t stream_id = 1;
  for (int i = 0; i < 1100; ++i, stream_id += 2) {
    peer.Send(RawPeer::Request(stream_id, "hold", ""));
    ASSERT_TRUE(loop_->RunOnce(0));
  }
  RunUntil([&] { return held_.size() == 1100; });
  peer.Send(RawPeer::Request(stream_id, "echo", "state") +
            RawPeer::Request(stream_id + 2, "hold", ""));
  EXPECT_EQ(NextAnswer(peer)->payload, "state");
  EXPECT_EQ(NextAnswer(peer)->code, kResourceExhausted);  // they have a bound, too
  held_.front().second.Reply(std::string("waited"));
  EXPECT_EQ(NextAnswer(peer)->payload, "waited");
  peer.Send(RawPeer::Request(stream_id + 4, "hold", "") +
            RawPeer::Request(stream_id + 6, "echo", "again"));
  EXPECT_EQ(NextAnswer(peer)->payload, "again");
  EXPECT_EQ(held_.size(), 1101U);
}

TEST_F(ServerTest, AnUndecodableRequestFailsItsStreamOnly) {
  StartServer();
  RawPeer peer = ConnectRaw();
  peer.Send(RawPeer::RawFrame(2, 1, kFrameRequest, "\xff\xff") + RawPeer::Request(3, "echo", "ok"));
  EXPECT_EQ(NextAnswer(peer)->code, kInvalidArgument);
  EXPECT_EQ(NextAnswer(peer)->payload, "ok");
}

TEST_F(ServerTest, FramesOfOtherTypesAreIgnored) {
  StartServer();
  RawPeer peer = ConnectRaw();
  for (const uint8_t type : std::vector<uint8_t>{0, 2, 3, 4, 255}) {
    peer.Send(RawPeer::RawFrame(3, 1, type, "abc"));
  }
  peer.Send(RawPeer::Request(1, "echo", "ok"));
  EXPECT_EQ(NextAnswer(peer)->payload, "ok");
  EXPECT_EQ(calls_seen_, 1);
}

TEST_F(ServerTest, AnOversizedRequestIsAnsweredAndTheConnectionGoesOn) {
  StartServer();
  RawPeer peer = ConnectRaw();
  constexpr uint32_t kLength = (4 << 20) + 1;
  std::string bytes = RawPeer::RawFrame(kLength, 1, kFrameRequest, std::string(kLength, 'x')) +
                      RawPeer::Request(3, "echo", "ok");
  RunUntil([&] {
    bytes.erase(0, peer.Send(bytes));
    return bytes.empty();
  });
  const auto refused = NextAnswer(peer);
  EXPECT_EQ(refused->stream_id, 1U);
  EXPECT_EQ(refused->code, kResourceExhausted);
  EXPECT_EQ(NextAnswer(peer)->payload, "ok");
}

TEST_F(ServerTest, ALyingLengthIsHarmless) {
  StartServer();
  for (const uint32_t length : {uint32_t{4} << 20, uint32_t{100}, ~uint32_t{0}}) {
    RawPeer peer = ConnectRaw();
    peer.Send(RawPeer::RawFrame(length, 1, kFrameRequest, "short"));
    RunUntil([&] { return server_->connection_count() == 1; });
    peer.socket().Reset();
    RunUntil([&] { return server_->connection_count() == 0; });
  }
  EXPECT_EQ(calls_seen_, 0);
}

TEST_F(ServerTest, ACallThatIsDroppedOrAnsweredTwiceGetsOneAnswer) {
  StartServer();
  RawPeer peer = ConnectRaw();
  peer.Send(RawPeer::Request(1, "drop", "") + RawPeer::Request(3, "hold", ""));
  EXPECT_EQ(NextAnswer(peer)->code, kInternal);
  ASSERT_EQ(held_.size(), 1U);
  held_[0].second.Reply(std::string("first"));
  held_[0].second.Reply(std::string("second"));
  held_.clear();
  EXPECT_EQ(NextAnswer(peer)->payload, "first");
  peer.Send(RawPeer::Request(5, "echo", "last"));
  EXPECT_EQ(NextAnswer(peer)->payload, "last");
}

TEST_F(ServerTest, AnOversizedAnswerBecomesAnError) {
  StartServer();
  RawPeer peer = ConnectRaw();
  peer.Send(RawPeer::Request(1, "big", std::to_string(kFramePayloadBytesMax)));
  EXPECT_EQ(NextAnswer(peer)->code, kResourceExhausted);
}

TEST_F(ServerTest, APeerThatHalfClosesStillGetsItsAnswers) {
  StartServer();
  RawPeer peer = ConnectRaw();
  peer.Send(RawPeer::Request(1, "hold", "") + RawPeer::Request(3, "big", "3000000"));
  shutdown(peer.socket().get(), SHUT_WR);
  RunUntil([&] { return held_.size() == 1; });
  EXPECT_TRUE(held_[0].second.is_connected());
  EXPECT_EQ(NextAnswer(peer)->payload.size(), 3'000'000U);
  held_[0].second.Reply(std::string("late"));
  EXPECT_EQ(NextAnswer(peer)->payload, "late");
  EXPECT_FALSE(NextAnswer(peer));
  EXPECT_EQ(server_->connection_count(), 0U);
}

TEST_F(ServerTest, RequestsOfAPeerThatIsGoneAreStillServed) {
  StartServer();
  {
    RawPeer peer = ConnectRaw();
    peer.Send(RawPeer::Request(1, "echo", "") + RawPeer::Request(3, "echo", "") +
              RawPeer::Request(5, "hold", ""));
  }
  RunUntil([&] { return calls_seen_ == 3 && server_->connection_count() == 0; });
  EXPECT_FALSE(held_[0].second.is_connected());
  held_[0].second.Reply(std::string("nobody hears this"));
}

TEST_F(ServerTest, APeerThatNeverReadsIsDisconnectedAtTheBound) {
  StartServer();
  RawPeer peer = ConnectRaw();
  for (uint32_t i = 0; i < 12; ++i) peer.Send(RawPeer::Request(2 * i + 1, "hold", ""));
  RunUntil([&] { return held_.size() == 12; });
  size_t answered = 0;
  while (answered < 12 && held_[answered].second.is_connected()) {
    held_[answered++].second.Reply(std::string(1 << 20, 'b'));
  }
  EXPECT_LT(answered, 12U);
  EXPECT_GE(answered, 8U);
  RunUntil([&] { return server_->connection_count() == 0; });
}

TEST_F(ServerTest, ASlowPeerIsNotReadFromUntilItReads) {
  StartServer();
  RawPeer peer = ConnectRaw();
  constexpr int kRequests = 40;  // 20 MiB of answers, more than would be queued
  uint32_t sent = 0;
  for (int turn = 0; turn < 200; ++turn) {
    if (sent < kRequests) {
      peer.Send(RawPeer::Request(2 * sent + 1, "big", "500000") +
                RawPeer::RawFrame(60'000, 1, 9, std::string(60'000, 'f')));
      ++sent;
    }
    ASSERT_TRUE(loop_->RunOnce(0));
  }
  EXPECT_LT(calls_seen_, 10);
  EXPECT_EQ(server_->connection_count(), 1U);
  const int seen_while_blocked = calls_seen_;
  for (int i = 0; i < seen_while_blocked; ++i) {
    EXPECT_EQ(NextAnswer(peer)->payload.size(), 500'000U);
  }
  RunUntil([&] { return calls_seen_ > seen_while_blocked || !peer.Receive(); });
  EXPECT_GT(calls_seen_, seen_while_blocked);
}

TEST_F(ServerTest, ACallTooManyIsRefusedOthersGoOn) {
  ServerOptions options;
  options.calls_per_connection_max = 2;
  StartServer(std::move(options));
  RawPeer peer = ConnectRaw();
  for (const uint32_t id : {1, 3, 5}) peer.Send(RawPeer::Request(id, "hold", ""));
  const auto refused = NextAnswer(peer);
  EXPECT_EQ(refused->stream_id, 5U);
  EXPECT_EQ(refused->code, kResourceExhausted);
  held_[0].second.Reply(std::string("a"));
  EXPECT_EQ(NextAnswer(peer)->payload, "a");
  peer.Send(RawPeer::Request(7, "echo", "b"));
  EXPECT_EQ(NextAnswer(peer)->payload, "b");
}

TEST_F(ServerTest, ARefusedPeerIsDisconnectedUnread) {
  int refused = 0;
  ServerOptions options;
  options.accept_peer = [](const base::PeerCredentials& peer) { return peer.pid != getpid(); };
  options.on_refused_peer = [&](const base::PeerCredentials& peer) {
    EXPECT_EQ(peer.pid, getpid());
    ++refused;
  };
  StartServer(std::move(options));
  RawPeer peer = ConnectRaw();
  peer.Send(RawPeer::Request(1, "echo", ""));
  EXPECT_FALSE(NextAnswer(peer));
  EXPECT_EQ(refused, 1);
  EXPECT_EQ(calls_seen_, 0);
  EXPECT_EQ(server_->connection_count(), 0U);
}

TEST_F(ServerTest, AConnectionTooManyIsClosed) {
  ServerOptions options;
  options.connections_max = 1;
  StartServer(std::move(options));
  RawPeer first = ConnectRaw();
  RawPeer second = ConnectRaw();
  EXPECT_FALSE(NextAnswer(second));
  first.Send(RawPeer::Request(1, "echo", "ok"));
  EXPECT_EQ(NextAnswer(first)->payload, "ok");
}

TEST_F(ServerTest, WithoutDescriptorsItWaitsAndThenAccepts) {
  StartServer();
  RawPeer peer = ConnectRaw();
  peer.Send(RawPeer::Request(1, "echo", "ok"));
  rlimit old_limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &old_limit), 0);
  const rlimit none{0, old_limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(loop_->RunOnce(1));
  EXPECT_EQ(server_->connection_count(), 0U);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &old_limit), 0);
  EXPECT_EQ(NextAnswer(peer)->payload, "ok");
}

TEST_F(ServerTest, StopAcceptingLeavesConnectionsAlone) {
  StartServer();
  RawPeer peer = ConnectRaw();
  RunUntil([&] { return server_->connection_count() == 1; });
  server_->StopAccepting();
  EXPECT_EQ(base::ConnectUnix(path_).error().code(), Code::kUnavailable);
  peer.Send(RawPeer::Request(1, "echo", "ok"));
  EXPECT_EQ(NextAnswer(peer)->payload, "ok");
}

TEST_F(ServerTest, ASecondListenerIsRefused) {
  StartServer();
  EXPECT_EQ(server_->Serve(base::ListenUnix(dir_ + "/t", 0600).value()).error().code(),
            Code::kFailedPrecondition);
}

TEST_F(ServerTest, FlushThenWaitsForUnsentAnswers) {
  StartServer();
  RawPeer peer = ConnectRaw();
  peer.Send(RawPeer::Request(1, "big", "3000000"));
  RunUntil([&] { return calls_seen_ == 1; });
  bool is_flushed = false;
  server_->FlushThen([&] { is_flushed = true; });
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(loop_->RunOnce(1));
  EXPECT_FALSE(is_flushed);
  EXPECT_EQ(NextAnswer(peer)->payload.size(), 3'000'000U);
  RunUntil([&] { return is_flushed; });
  is_flushed = false;
  server_->FlushThen([&] { is_flushed = true; });
  EXPECT_FALSE(is_flushed);
  RunUntil([&] { return is_flushed; });
}

TEST_F(ServerTest, FlushThenDoesNotWaitForAConnectionThatIsGone) {
  StartServer();
  bool is_flushed = false;
  {
    RawPeer peer = ConnectRaw();
    peer.Send(RawPeer::Request(1, "big", "3000000"));
    RunUntil([&] { return calls_seen_ == 1; });
    server_->FlushThen([&] { is_flushed = true; });
    ASSERT_TRUE(loop_->RunOnce(0));
    EXPECT_FALSE(is_flushed);
  }
  RunUntil([&] { return is_flushed; });
}

TEST_F(ServerTest, TheServerMayBeDestroyedWithCallsHeldAndInAHandler) {
  StartServer();
  RawPeer peer = ConnectRaw();
  peer.Send(RawPeer::Request(1, "hold", ""));
  RunUntil([&] { return held_.size() == 1; });
  server_.reset();
  EXPECT_FALSE(held_[0].second.is_connected());
  held_[0].second.Reply(std::string(""));
  EXPECT_FALSE(NextAnswer(peer));

  server_ = std::make_unique<Server>(*loop_, ServerOptions(), [&](ServerCall, const Responder& r) {
    server_.reset();
    r.Reply(std::string(""));
  });
  ASSERT_TRUE(server_->Serve(base::ListenUnix(path_, 0600).value()));
  RawPeer last = ConnectRaw();
  last.Send(RawPeer::Request(1, "x", "") + RawPeer::Request(3, "x", ""));
  RunUntil([&] { return server_ == nullptr; });
  EXPECT_FALSE(NextAnswer(last));
}

TEST_F(ServerTest, AResponderThatOutlivesItsPeerAndServerDoesNoHarm) {
  StartServer();
  {
    RawPeer peer = ConnectRaw();
    peer.Send(RawPeer::Request(1, "hold", ""));
    RunUntil([&] { return held_.size() == 1; });
  }
  RunUntil([&] { return server_->connection_count() == 0; });
  server_.reset();
  held_.clear();
}

}  // namespace
}  // namespace bulwark::ttrpc
