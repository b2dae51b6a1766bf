#include "shim/link/gate_client.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <optional>

#include "lib/base/unix_socket.h"
#include "lib/journal/journal_format.h"
#include "lib/ttrpc/server.h"

namespace bulwark::shim {
namespace {

using base::Code;

// A gate with a will of its own: answers what `admit` says, records what is reported.
class FakeGate {
 public:
  FakeGate(base::EventLoop& loop, const std::string& path) {
    server_ = std::make_unique<ttrpc::Server>(
        loop, ttrpc::ServerOptions(),
        [this](const ttrpc::ServerCall& call, const ttrpc::Responder& responder) {
          Handle(call, responder);
        });
    auto listener = base::ListenUnix(path, 0600);
    EXPECT_TRUE(listener.has_value());
    EXPECT_TRUE(server_->Serve(*std::move(listener)).has_value());
  }
  void Hang() { hangs_ = true; }

  base::Result<std::string> admit = Allow();
  size_t admissions = 0;
  uint64_t acknowledge_at_most = UINT64_MAX;
  std::vector<std::pair<std::string, uint64_t>> reported;
  std::vector<int> batch_sizes;

  static std::string Allow() {
    v1::AdmitResponse response;
    response.set_allowed(true);
    response.set_decision_id("d1");
    response.set_effective_spec("{}");
    return response.SerializeAsString();
  }

 private:
  void Handle(const ttrpc::ServerCall& call, const ttrpc::Responder& responder) {
    EXPECT_EQ(call.service, "bulwark.v1.Gate");
    if (call.method == "AdmitCreate" || call.method == "AdmitExec") {
      ++admissions;
      if (hangs_) return held_.push_back(responder);
      return responder.Reply(admit);
    }
    if (call.method == "Attach") return responder.Reply(std::string());
    v1::ReportRequest request;
    ASSERT_TRUE(request.ParseFromString(call.payload));
    v1::ReportResponse response;
    batch_sizes.push_back(request.events_size());
    for (const auto& event : request.events()) {
      if (event.source_seq() > acknowledge_at_most) break;
      reported.emplace_back(event.source_id(), event.source_seq());
      response.set_acknowledged_seq(event.source_seq());
    }
    responder.Reply(response.SerializeAsString());
  }

  bool hangs_ = false;
  std::vector<ttrpc::Responder>
      held_;  // outlive the server: the connection breaks without an answer
  std::unique_ptr<ttrpc::Server> server_;
};

class GateClientTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "gate.XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    directory_ = name;
    loop_ = *base::EventLoop::Create();
    options_.socket_path = directory_ + "/gate.sock";
    options_.spool_directory = directory_ + "/spool";
    options_.source_id = "ours";
    options_.wait_ms = 300;
  }
  std::string JournalPath() const { return directory_ + "/" + kJournalName; }

  std::unique_ptr<GateClient> MakeClient(bool with_journal = true) {
    std::unique_ptr<EventJournal> journal;
    if (with_journal) {
      auto opened = EventJournal::Open(JournalPath());
      EXPECT_TRUE(opened.has_value());
      journal = *std::move(opened);
    }
    return std::make_unique<GateClient>(*loop_, base::SystemClock(), options_, std::move(journal));
  }
  // Turns the loop until `done` or for about three seconds.
  template <typename F>
  bool RunUntil(F done) {
    const int64_t end = base::SystemClock().BootNanos() + 3'000'000'000;
    while (!done() && base::SystemClock().BootNanos() < end)
      EXPECT_TRUE(loop_->RunOnce(10).has_value());
    return done();
  }
  base::Result<v1::AdmitResponse> Admit(GateClient& client) {
    std::optional<base::Result<v1::AdmitResponse>> answer;
    client.AdmitCreate({}, [&](base::Result<v1::AdmitResponse> got) { answer = std::move(got); });
    EXPECT_FALSE(answer.has_value()) << "answered before the call returned";
    EXPECT_TRUE(RunUntil([&] { return answer.has_value(); }));
    return answer.has_value() ? *std::move(answer) : base::Error(Code::kInternal, "no answer");
  }
  void Report(GateClient& client, int count) {
    for (int i = 0; i < count; ++i) {
      v1::LifecycleEvent event;
      event.set_kind(v1::CONTAINER_EXITED);
      event.set_container_id("c1");
      client.Report(std::move(event));
    }
  }
  std::vector<std::pair<std::string, uint64_t>> Expected(const std::string& source, uint64_t from,
                                                         uint64_t to) {
    std::vector<std::pair<std::string, uint64_t>> events;
    for (uint64_t seq = from; seq <= to; ++seq) events.emplace_back(source, seq);
    return events;
  }

  std::string directory_;
  std::unique_ptr<base::EventLoop> loop_;
  GateClientOptions options_;
};

TEST_F(GateClientTest, BringsTheAnswer) {
  FakeGate gate(*loop_, options_.socket_path);
  const auto client = MakeClient();
  const auto answer = Admit(*client);
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->decision_id(), "d1");
}

TEST_F(GateClientTest, WithoutADaemonDeniesAfterTheBoundAndSaysWhatToDo) {
  const auto client = MakeClient();
  const int64_t begin = base::SystemClock().BootNanos();
  const auto answer = Admit(*client);
  const int64_t waited_ms = (base::SystemClock().BootNanos() - begin) / 1'000'000;
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code(), Code::kUnavailable);
  EXPECT_EQ(answer.error().message().rfind("daemon.unavailable: ", 0), 0u)
      << answer.error().message();
  EXPECT_NE(answer.error().message().find("see that bulwarkd runs"), std::string::npos);
  EXPECT_GE(waited_ms, 290);
  EXPECT_LT(waited_ms, 1'500);
}

TEST_F(GateClientTest, WaitsForADaemonThatComesBackInTime) {
  const auto client = MakeClient();
  std::unique_ptr<FakeGate> gate;
  loop_->AddTimer(100, [&] { gate = std::make_unique<FakeGate>(*loop_, options_.socket_path); });
  EXPECT_TRUE(Admit(*client).has_value());
}

TEST_F(GateClientTest, AsksAgainWhenTheConnectionBreaksUnderTheQuestion) {
  options_.wait_ms = 2'000;
  auto gate = std::make_unique<FakeGate>(*loop_, options_.socket_path);
  gate->Hang();
  const auto client = MakeClient();
  // Two at once: the second must not be forgotten when the first finds the connection broken.
  std::optional<bool> first;
  client->AdmitExec({},
                    [&](base::Result<v1::AdmitResponse> answer) { first = answer.has_value(); });
  loop_->AddTimer(50, [&] {
    EXPECT_EQ(gate->admissions, 2u);
    gate.reset();
    unlink(options_.socket_path.c_str());
    gate = std::make_unique<FakeGate>(*loop_, options_.socket_path);
  });
  EXPECT_TRUE(Admit(*client).has_value());
  EXPECT_TRUE(RunUntil([&] { return first.has_value(); }));
  EXPECT_TRUE(first.value_or(false));
  EXPECT_EQ(gate->admissions, 2u);
}

TEST_F(GateClientTest, ADaemonThatHangsIsADeny) {
  options_.attempt_timeout_ms = 100;
  FakeGate gate(*loop_, options_.socket_path);
  gate.Hang();
  const auto client = MakeClient();
  const auto answer = Admit(*client);
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code(), Code::kDeadlineExceeded);
  EXPECT_NE(answer.error().message().find("daemon.unavailable"), std::string::npos);
  EXPECT_EQ(gate.admissions, 1u);
}

TEST_F(GateClientTest, AnAnswerThatMakesNoSenseIsADeny) {
  FakeGate gate(*loop_, options_.socket_path);
  const auto client = MakeClient();
  gate.admit = std::string("\xff\xff\xff");
  EXPECT_EQ(Admit(*client).error().code(), Code::kInternal);
  v1::AdmitResponse without_spec;
  without_spec.set_allowed(true);
  gate.admit = without_spec.SerializeAsString();
  EXPECT_EQ(Admit(*client).error().code(), Code::kInternal);
  gate.admit = base::Error(Code::kFailedPrecondition, "api version");
  EXPECT_EQ(Admit(*client).error().code(), Code::kFailedPrecondition);
}

TEST_F(GateClientTest, ADenialIsAnAnswer) {
  FakeGate gate(*loop_, options_.socket_path);
  const auto client = MakeClient();
  v1::AdmitResponse denial;
  denial.set_reason_code("signature.missing");
  gate.admit = denial.SerializeAsString();
  const auto answer = Admit(*client);
  ASSERT_TRUE(answer.has_value());
  EXPECT_FALSE(answer->allowed());
  EXPECT_EQ(answer->reason_code(), "signature.missing");
}

TEST_F(GateClientTest, TrustsNoListenerOfAnotherUser) {
  base::PeerCredentials peer;
  peer.uid = 0;
  EXPECT_TRUE(IsTrustedPeer(peer));
  peer.uid = geteuid();
  EXPECT_TRUE(IsTrustedPeer(peer));
  peer.uid = geteuid() + 12345;
  EXPECT_FALSE(IsTrustedPeer(peer));
}

TEST_F(GateClientTest, AttachReportsItsOutcome) {
  std::optional<bool> attached;
  {
    const auto client = MakeClient();
    client->Attach({}, [&](base::Status status) { attached = status.has_value(); });
    EXPECT_TRUE(RunUntil([&] { return attached.has_value(); }));
    EXPECT_FALSE(attached.value_or(true));
  }
  FakeGate gate(*loop_, options_.socket_path);
  const auto client = MakeClient();
  attached.reset();
  client->Attach({}, [&](base::Status status) { attached = status.has_value(); });
  EXPECT_TRUE(RunUntil([&] { return attached.has_value(); }));
  EXPECT_TRUE(attached.value_or(false));
}

TEST_F(GateClientTest, DeliversEventsInOrderInBatchesAndEmptiesTheJournal) {
  FakeGate gate(*loop_, options_.socket_path);
  const auto client = MakeClient();
  Report(*client, 600);
  EXPECT_EQ(journal::ReadJournal(JournalPath())->events.size(), 600u);
  EXPECT_TRUE(RunUntil([&] { return client->all_acknowledged(); }));
  EXPECT_EQ(gate.reported, Expected("ours", 1, 600));
  EXPECT_EQ(gate.batch_sizes, (std::vector<int>{256, 256, 88}));
  EXPECT_TRUE(journal::DecodeJournal("")->events.empty());
  EXPECT_EQ(journal::ReadJournal(JournalPath())->events.size(), 0u);
}

TEST_F(GateClientTest, KeepsEventsWhileTheDaemonIsAway) {
  const auto client = MakeClient();
  Report(*client, 3);
  ASSERT_TRUE(loop_->RunOnce(20).has_value());
  FakeGate gate(*loop_, options_.socket_path);
  Report(*client, 2);
  EXPECT_TRUE(RunUntil([&] { return client->all_acknowledged(); }));
  EXPECT_EQ(gate.reported, Expected("ours", 1, 5));
}

TEST_F(GateClientTest, WhatMemoryCannotHoldComesBackFromTheJournal) {
  options_.queued_events_max = 10;
  const auto client = MakeClient();
  Report(*client, 1'000);
  FakeGate gate(*loop_, options_.socket_path);
  EXPECT_TRUE(RunUntil([&] { return client->all_acknowledged(); }));
  EXPECT_EQ(gate.reported, Expected("ours", 1, 1'000));
  EXPECT_EQ(client->lost_events(), 0u);
  Report(*client, 1);
  EXPECT_TRUE(RunUntil([&] { return client->all_acknowledged(); }));
  EXPECT_EQ(gate.reported.back().second, 1'001u);
}

TEST_F(GateClientTest, CountsWhatNeitherMemoryNorJournalCanHold) {
  options_.queued_events_max = 10;
  const auto client = MakeClient(/*with_journal=*/false);
  Report(*client, 25);
  EXPECT_EQ(client->lost_events(), 15u);
}

TEST_F(GateClientTest, SendsAgainWhatWasNotAcknowledged) {
  FakeGate gate(*loop_, options_.socket_path);
  gate.acknowledge_at_most = 2;
  const auto client = MakeClient();
  Report(*client, 4);
  EXPECT_TRUE(RunUntil([&] { return gate.batch_sizes.size() >= 2; }));
  EXPECT_FALSE(client->all_acknowledged());
  gate.acknowledge_at_most = UINT64_MAX;
  EXPECT_TRUE(RunUntil([&] { return client->all_acknowledged(); }));
  EXPECT_EQ(gate.reported, Expected("ours", 1, 4));
}

TEST_F(GateClientTest, FirstDeliversWhatADeadShimLeft) {
  options_.source_id = "dead";
  Report(*MakeClient(), 300);
  options_.source_id = "ours";
  FakeGate gate(*loop_, options_.socket_path);
  const auto client = MakeClient();
  Report(*client, 2);
  EXPECT_TRUE(RunUntil([&] { return client->all_acknowledged(); }));
  auto expected = Expected("dead", 1, 300);
  expected.emplace_back("ours", 1);
  expected.emplace_back("ours", 2);
  EXPECT_EQ(gate.reported, expected);
}

TEST_F(GateClientTest, FinishWaitsForTheAcknowledgementsAndRemovesTheJournal) {
  FakeGate gate(*loop_, options_.socket_path);
  const auto client = MakeClient();
  Report(*client, 5);
  std::optional<bool> finished;
  client->Finish(2'000, [&](base::Status status) { finished = status.has_value(); });
  EXPECT_FALSE(finished.has_value());
  EXPECT_TRUE(RunUntil([&] { return finished.has_value(); }));
  EXPECT_TRUE(finished.value_or(false));
  EXPECT_EQ(gate.reported.size(), 5u);
  EXPECT_NE(access(JournalPath().c_str(), F_OK), 0);
  EXPECT_NE(access((options_.spool_directory + "/ours.journal").c_str(), F_OK), 0);
}

TEST_F(GateClientTest, FinishSpoolsWhatTheDaemonDidNotTake) {
  options_.queued_events_max = 2;
  const auto client = MakeClient();
  Report(*client, 5);
  std::optional<bool> finished;
  client->Finish(100, [&](base::Status status) { finished = status.has_value(); });
  EXPECT_TRUE(RunUntil([&] { return finished.has_value(); }));
  EXPECT_TRUE(finished.value_or(false));
  EXPECT_NE(access(JournalPath().c_str(), F_OK), 0);
  const auto spooled = journal::ReadJournal(options_.spool_directory + "/ours.journal");
  ASSERT_TRUE(spooled.has_value());
  ASSERT_EQ(spooled->events.size(), 5u);
  EXPECT_EQ(spooled->events[4].source_seq(), 5u);
}

TEST_F(GateClientTest, AnIdleClientFinishesAtOnce) {
  const auto client = MakeClient();
  bool finished = false;
  const int64_t begin = base::SystemClock().BootNanos();
  client->Finish(2'000, [&](base::Status) { finished = true; });
  EXPECT_TRUE(RunUntil([&] { return finished; }));
  EXPECT_LT(base::SystemClock().BootNanos() - begin, 500'000'000);
}

TEST_F(GateClientTest, FillsInTheIdentityAndTimeOfEventsAndBoundsTheirText) {
  options_.source_id.clear();
  const auto client = MakeClient();
  EXPECT_EQ(client->source_id().size(), 32u);
  v1::LifecycleEvent event;
  event.set_detail(std::string(4'095, 'x') + "\xe2\x82\xac and more");
  client->Report(event);
  event.set_wall_ns(42);
  client->Report(event);
  const auto kept = journal::ReadJournal(JournalPath());
  ASSERT_TRUE(kept.has_value());
  ASSERT_EQ(kept->events.size(), 2u);
  EXPECT_EQ(kept->events[0].detail(), std::string(4'095, 'x')) << "no half of a UTF-8 sequence";
  EXPECT_GT(kept->events[0].wall_ns(), 0);
  EXPECT_EQ(kept->events[1].wall_ns(), 42);
  EXPECT_EQ(kept->events[1].source_id(), client->source_id());
}

TEST(GateClientOptions, ComeFromTheEnvironment) {
  setenv("BULWARK_GATE_SOCKET", "/x/gate.sock", 1);
  setenv("BULWARK_GATE_WAIT_MS", "1234", 1);
  EXPECT_EQ(GateClientOptionsFromEnvironment().socket_path, "/x/gate.sock");
  EXPECT_EQ(GateClientOptionsFromEnvironment().wait_ms, 1234);
  for (const char* bad : {"", "x", "-1", "1s", "600001"}) {
    setenv("BULWARK_GATE_WAIT_MS", bad, 1);
    EXPECT_EQ(GateClientOptionsFromEnvironment().wait_ms, 5'000) << bad;
  }
  unsetenv("BULWARK_GATE_SOCKET");
  unsetenv("BULWARK_GATE_WAIT_MS");
  EXPECT_EQ(GateClientOptionsFromEnvironment().socket_path, "/run/bulwark/gate.sock");
}

}  // namespace
}  // namespace bulwark::shim
