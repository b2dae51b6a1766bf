#include "shim/link/event_publisher.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "lib/base/unix_socket.h"
#include "lib/ttrpc/server.h"

namespace bulwark::shim {
namespace {

using base::Code;

// containerd's Events service.
class FakeEvents {
 public:
  FakeEvents(base::EventLoop& loop, const std::string& path) {
    server_ = std::make_unique<ttrpc::Server>(
        loop, ttrpc::ServerOptions(),
        [this](const ttrpc::ServerCall& call, const ttrpc::Responder& responder) {
          Handle(call, responder);
        });
    auto listener = base::ListenUnix(path, 0600);
    EXPECT_TRUE(listener.has_value());
    EXPECT_TRUE(server_->Serve(*std::move(listener)).has_value());
  }

  std::vector<containerd::events::Envelope> received;
  base::Result<std::string> answer = std::string();
  bool hangs = false;

 private:
  void Handle(const ttrpc::ServerCall& call, const ttrpc::Responder& responder) {
    EXPECT_EQ(call.service, "containerd.services.events.ttrpc.v1.Events");
    EXPECT_EQ(call.method, "Forward");
    const std::vector<std::pair<std::string, std::string>> metadata = {
        {"containerd-namespace-ttrpc", "k8s.io"}};
    EXPECT_EQ(call.metadata, metadata);
    containerd::events::ForwardRequest request;
    EXPECT_TRUE(request.ParseFromString(call.payload));
    received.push_back(request.envelope());
    if (hangs) return held_.push_back(responder);
    responder.Reply(answer);
  }

  std::vector<ttrpc::Responder>
      held_;  // outlive the server: the connection breaks without an answer
  std::unique_ptr<ttrpc::Server> server_;
};

class EventPublisherTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "events.XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    options_.address = name + "/containerd.sock.ttrpc";
    options_.containerd_namespace = "k8s.io";
    loop_ = *base::EventLoop::Create();
    clock_.wall_ns = 1'700'000'000'000'000'001;
  }
  template <typename F>
  bool RunUntil(F done) {
    const int64_t end = base::SystemClock().BootNanos() + 3'000'000'000;
    while (!done() && base::SystemClock().BootNanos() < end)
      EXPECT_TRUE(loop_->RunOnce(10).has_value());
    return done();
  }
  void PublishExits(EventPublisher& publisher, uint32_t from, uint32_t to) {
    for (uint32_t pid = from; pid <= to; ++pid) {
      containerd::events::TaskExit event;
      event.set_container_id("c1");
      event.set_pid(pid);
      publisher.Publish(event);
    }
  }
  static std::vector<uint32_t> Pids(const FakeEvents& events) {
    std::vector<uint32_t> pids;
    for (const auto& envelope : events.received) {
      containerd::events::TaskExit event;
      EXPECT_TRUE(event.ParseFromString(envelope.event().value()));
      pids.push_back(event.pid());
    }
    return pids;
  }

  std::unique_ptr<base::EventLoop> loop_;
  base::FakeClock clock_;
  EventPublisherOptions options_;
};

using PidList = std::vector<uint32_t>;

TEST_F(EventPublisherTest, SendsEachKindUnderItsTopicAndTypeInOrder) {
  FakeEvents events(*loop_, options_.address);
  EventPublisher publisher(*loop_, clock_, options_);
  publisher.Publish(containerd::events::TaskCreate());
  publisher.Publish(containerd::events::TaskStart());
  publisher.Publish(containerd::events::TaskOOM());
  publisher.Publish(containerd::events::TaskExecAdded());
  publisher.Publish(containerd::events::TaskExecStarted());
  publisher.Publish(containerd::events::TaskPaused());
  publisher.Publish(containerd::events::TaskResumed());
  publisher.Publish(containerd::events::TaskExit());
  publisher.Publish(containerd::events::TaskDelete());
  ASSERT_TRUE(RunUntil([&] { return publisher.queued() == 0; }));
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"/tasks/create", "TaskCreate"},
      {"/tasks/start", "TaskStart"},
      {"/tasks/oom", "TaskOOM"},
      {"/tasks/exec-added", "TaskExecAdded"},
      {"/tasks/exec-started", "TaskExecStarted"},
      {"/tasks/paused", "TaskPaused"},
      {"/tasks/resumed", "TaskResumed"},
      {"/tasks/exit", "TaskExit"},
      {"/tasks/delete", "TaskDelete"}};
  ASSERT_EQ(events.received.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(events.received[i].topic(), expected[i].first);
    EXPECT_EQ(events.received[i].event().type_url(), "containerd.events." + expected[i].second);
    EXPECT_EQ(events.received[i].namespace_(), "k8s.io");
    EXPECT_EQ(events.received[i].timestamp().seconds(), 1'700'000'000);
    EXPECT_EQ(events.received[i].timestamp().nanos(), 1);
  }
}

TEST_F(EventPublisherTest, KeepsEventsAndTheirOrderWhileContainerdIsAway) {
  options_.address = "unix://" + options_.address;
  const std::string path = options_.address.substr(7);
  EventPublisher publisher(*loop_, clock_, options_);
  PublishExits(publisher, 1, 3);
  ASSERT_TRUE(loop_->RunOnce(30).has_value());
  auto events = std::make_unique<FakeEvents>(*loop_, path);
  PublishExits(publisher, 4, 5);
  ASSERT_TRUE(RunUntil([&] { return publisher.queued() == 0; }));
  EXPECT_EQ(Pids(*events), (PidList{1, 2, 3, 4, 5}));

  events.reset();
  unlink(path.c_str());
  ASSERT_TRUE(loop_->RunOnce(0).has_value());
  PublishExits(publisher, 6, 7);
  ASSERT_TRUE(loop_->RunOnce(30).has_value());
  events = std::make_unique<FakeEvents>(*loop_, path);
  ASSERT_TRUE(RunUntil([&] { return publisher.queued() == 0; }));
  EXPECT_EQ(Pids(*events), (PidList{6, 7}));
  EXPECT_EQ(publisher.dropped(), 0u);
}

TEST_F(EventPublisherTest, NeverRepeatsAnEventThatWasAnswered) {
  FakeEvents events(*loop_, options_.address);
  events.answer = base::Error(Code::kInvalidArgument, "namespace");
  EventPublisher publisher(*loop_, clock_, options_);
  PublishExits(publisher, 1, 2);
  ASSERT_TRUE(RunUntil([&] { return publisher.queued() == 0; }));
  EXPECT_EQ(Pids(events), (PidList{1, 2}));
  EXPECT_EQ(publisher.dropped(), 2u);
}

TEST_F(EventPublisherTest, RepeatsTheEventWhoseAnswerNeverCame) {
  options_.call_timeout_ms = 50;
  FakeEvents events(*loop_, options_.address);
  events.hangs = true;
  EventPublisher publisher(*loop_, clock_, options_);
  PublishExits(publisher, 1, 2);
  ASSERT_TRUE(RunUntil([&] { return events.received.size() == 2; }));
  events.hangs = false;
  ASSERT_TRUE(RunUntil([&] { return publisher.queued() == 0; }));
  const PidList pids = Pids(events);
  EXPECT_EQ(pids.back(), 2u);
  EXPECT_EQ(std::count(pids.begin(), pids.end(), 2u), 1);
  EXPECT_GE(std::count(pids.begin(), pids.end(), 1u), 2);
}

TEST_F(EventPublisherTest, DropsTheOldestWhenMemoryIsFull) {
  options_.queue_bytes_max = 2'000;
  EventPublisher publisher(*loop_, clock_, options_);
  PublishExits(publisher, 1, 100);
  EXPECT_LT(publisher.queued(), 30u);
  EXPECT_EQ(publisher.queued() + publisher.dropped(), 100u);
  FakeEvents events(*loop_, options_.address);
  ASSERT_TRUE(RunUntil([&] { return publisher.queued() == 0; }));
  const PidList pids = Pids(events);
  EXPECT_EQ(pids.back(), 100u);
  EXPECT_TRUE(std::is_sorted(pids.begin(), pids.end()));
}

TEST_F(EventPublisherTest, DrainEndsWhenTheQueueIsEmpty) {
  FakeEvents events(*loop_, options_.address);
  EventPublisher publisher(*loop_, clock_, options_);
  PublishExits(publisher, 1, 10);
  bool drained = false;
  publisher.Drain(2'000, [&] {
    drained = true;
    EXPECT_EQ(publisher.queued(), 0u);
  });
  EXPECT_FALSE(drained);
  EXPECT_TRUE(RunUntil([&] { return drained; }));
  EXPECT_EQ(events.received.size(), 10u);

  drained = false;
  publisher.Drain(2'000, [&] { drained = true; });
  EXPECT_FALSE(drained) << "not before Drain returns";
  ASSERT_TRUE(loop_->RunOnce(0).has_value());
  EXPECT_TRUE(drained);
}

TEST_F(EventPublisherTest, DrainEndsAtItsDeadline) {
  EventPublisher publisher(*loop_, clock_, options_);
  PublishExits(publisher, 1, 1);
  int drained = 0;
  publisher.Drain(50, [&] { ++drained; });
  EXPECT_TRUE(RunUntil([&] { return drained > 0; }));
  EXPECT_EQ(drained, 1);
  EXPECT_EQ(publisher.queued(), 1u);
}

TEST_F(EventPublisherTest, WithoutAnAddressDropsEverything) {
  options_.address.clear();
  EventPublisher publisher(*loop_, clock_, options_);
  PublishExits(publisher, 1, 3);
  EXPECT_EQ(publisher.queued(), 0u);
  EXPECT_EQ(publisher.dropped(), 3u);
}

}  // namespace
}  // namespace bulwark::shim
