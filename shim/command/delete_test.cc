#include "shim/command/delete.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include <thread>

#include "bulwark/v1/gate.pb.h"
#include "lib/base/event_loop.h"
#include "lib/base/unix_socket.h"
#include "lib/journal/journal_format.h"
#include "lib/ttrpc/server.h"
#include "shim/command/command_test_fixture.h"
#include "shim/link/journal.h"

namespace bulwark::shim {
namespace {

class DeleteTest : public CommandTest {
 protected:
  // A bundle as our Create leaves it, with a runtime that writes down how it was called.
  std::string MakeCreatedBundle(const std::string& id) {
    const std::string bundle = MakeBundle(id);
    const std::string runtime = directory_ + "/runtime.sh";
    std::ofstream(runtime) << "#!/bin/sh\necho \"$@\" >> " << directory_
                           << "/calls\necho noise; echo noise >&2\n"
                           << runtime_action_ << "\n";
    chmod(runtime.c_str(), 0755);
    std::ofstream(bundle + "/runtime") << runtime;
    std::ofstream(bundle + "/options.json")
        << R"({"binary_name":"x","root":")" << directory_ << R"(/root"})";
    std::ofstream(bundle + "/init.pid") << "4242";
    std::ofstream(bundle + kDecisionFile) << "d1";
    return bundle;
  }
  void MakeKnownToRuntime(const std::string& id) {
    ASSERT_TRUE(base::MakeDirectories(directory_ + "/root/ns/" + id, 0700).has_value());
  }
  containerd::task::DeleteResponse RunDeleteOf(const std::string& id) {
    const base::CapturedOutput done = Run(id, {"-bundle", directory_ + "/" + id, "delete"}, "");
    EXPECT_EQ(done.exit_status, 0) << done.output;
    containerd::task::DeleteResponse response;
    EXPECT_TRUE(response.ParseFromString(done.output)) << done.output;
    return response;
  }
  std::string Calls() const { return base::ReadFile(directory_ + "/calls", 4096).value_or(""); }
  std::vector<v1::LifecycleEvent> Spooled() const {
    std::vector<v1::LifecycleEvent> events;
    const auto names = base::ListDirectory(directory_ + "/spool", 10);
    if (!names) return events;
    for (const std::string& name : *names) {
      const auto spooled = journal::ReadJournal(directory_ + "/spool/" + name);
      EXPECT_TRUE(spooled.has_value());
      if (spooled) events.insert(events.end(), spooled->events.begin(), spooled->events.end());
    }
    return events;
  }
  void LeaveJournal(const std::string& bundle) {
    v1::LifecycleEvent event;
    event.set_source_id("dead");
    event.set_source_seq(1);
    event.set_container_id("c1");
    ASSERT_TRUE((*EventJournal::Open(bundle + "/" + kJournalName))->Append(event).has_value());
  }

  std::string runtime_action_ = "exit 0";
};

TEST_F(DeleteTest, AfterANormalEndCallsNoRuntimeAndReportsNothing) {
  MakeCreatedBundle("c1");
  const auto response = RunDeleteOf("c1");
  EXPECT_EQ(response.pid(), 4242u);
  EXPECT_EQ(response.exit_status(), 137u);
  EXPECT_GT(response.exited_at().seconds(), 1'700'000'000);
  EXPECT_EQ(Calls(), "");
  EXPECT_TRUE(Spooled().empty());
  EXPECT_EQ(RunDeleteOf("c1").pid(), 4242u) << "repeatable";
}

TEST_F(DeleteTest, RemovesTheContainerOfALostShimAndReportsIt) {
  const std::string bundle = MakeCreatedBundle("c1");
  MakeKnownToRuntime("c1");
  EXPECT_EQ(RunDeleteOf("c1").pid(), 4242u);
  EXPECT_EQ(Calls(), "--root " + directory_ + "/root/ns --log " + bundle +
                         "/log.json --log-format json delete --force c1\n");
  const auto events = Spooled();
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].kind(), v1::SHIM_GONE);
  EXPECT_EQ(events[0].decision_id(), "d1");
  EXPECT_EQ(events[1].kind(), v1::CONTAINER_EXITED);
  EXPECT_EQ(events[1].exit_status(), 137u);
  EXPECT_EQ(events[2].kind(), v1::CONTAINER_DELETED);
  EXPECT_EQ(events[2].container_id(), "c1");
  EXPECT_EQ(events[2].containerd_namespace(), "ns");
  EXPECT_EQ(events[2].source_seq(), 3u);
  EXPECT_FALSE(base::PathExists(bundle + "/" + kJournalName));
}

TEST_F(DeleteTest, ARuntimeThatHangsDoesNotUseUpContainerdsPatience) {
  runtime_action_ = "exec sleep 60";
  MakeCreatedBundle("c1");
  MakeKnownToRuntime("c1");
  const time_t begin = time(nullptr);
  const base::CapturedOutput done = Run("c1", {"-bundle", directory_ + "/c1", "delete"}, "");
  EXPECT_EQ(done.exit_status, 0);
  EXPECT_LE(time(nullptr) - begin, 5);
}

TEST_F(DeleteTest, DoesNotReportALivingShimAsLost) {
  MakeCreatedBundle("c1");
  StartShim("c1");
  MakeKnownToRuntime("c1");
  RunDeleteOf("c1");
  const auto events = Spooled();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind(), v1::CONTAINER_DELETED);
}

TEST_F(DeleteTest, RemovesTheSocketOfADeadShimButNotOfALivingOne) {
  MakeCreatedBundle("c1");
  const std::string address = StartShim("c1");
  RunDeleteOf("c1");
  EXPECT_TRUE(base::PathExists(address.substr(7)));
  ASSERT_EQ(kill(shims_[0], SIGKILL), 0);
  WaitUntilGone(shims_[0]);
  RunDeleteOf("c1");
  EXPECT_FALSE(base::PathExists(address.substr(7)));
}

TEST_F(DeleteTest, SpoolsTheJournalOfADeadShimWithoutADaemon) {
  const std::string bundle = MakeCreatedBundle("c1");
  LeaveJournal(bundle);
  RunDeleteOf("c1");
  const auto events = Spooled();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].source_id(), "dead");
  EXPECT_FALSE(base::PathExists(bundle + "/" + kJournalName));
}

TEST_F(DeleteTest, LeavesTheJournalOfALivingShimAlone) {
  const std::string bundle = MakeCreatedBundle("c1");
  auto held = EventJournal::Open(bundle + "/" + kJournalName);
  v1::LifecycleEvent event;
  event.set_source_id("living");
  ASSERT_TRUE((*held)->Append(event).has_value());
  RunDeleteOf("c1");
  EXPECT_TRUE(Spooled().empty());
  EXPECT_EQ(journal::ReadJournal(bundle + "/" + kJournalName)->events.size(), 1u);
}

TEST_F(DeleteTest, DeliversTheJournalToADaemonThatIsThere) {
  const std::string bundle = MakeCreatedBundle("c1");
  LeaveJournal(bundle);
  MakeKnownToRuntime("c1");
  const auto loop = *base::EventLoop::Create();
  std::vector<v1::EventKind> kinds;
  ttrpc::Server gate(*loop, {},
                     [&](const ttrpc::ServerCall& call, const ttrpc::Responder& responder) {
                       v1::ReportRequest request;
                       ASSERT_TRUE(request.ParseFromString(call.payload));
                       v1::ReportResponse response;
                       for (const auto& event : request.events()) {
                         kinds.push_back(event.kind());
                         response.set_acknowledged_seq(event.source_seq());
                       }
                       responder.Reply(response.SerializeAsString());
                     });
  ASSERT_TRUE(gate.Serve(*base::ListenUnix(directory_ + "/gate.sock", 0600)).has_value());
  std::thread daemon([&] { ASSERT_TRUE(loop->Run().has_value()); });
  RunDeleteOf("c1");
  loop->Stop();
  daemon.join();
  EXPECT_EQ(kinds, (std::vector<v1::EventKind>{v1::EVENT_KIND_UNSPECIFIED, v1::SHIM_GONE,
                                               v1::CONTAINER_EXITED, v1::CONTAINER_DELETED}));
  EXPECT_TRUE(Spooled().empty());
}

TEST_F(DeleteTest, UnmountsWhatIsMountedAtTheRootfs) {
  const std::string bundle = MakeCreatedBundle("c1");
  const std::string rootfs = bundle + "/rootfs";
  if (mount("none", rootfs.c_str(), "tmpfs", 0, nullptr) != 0) GTEST_SKIP() << "may not mount";
  mkdir((rootfs + "/inner").c_str(), 0700);
  ASSERT_EQ(mount("none", (rootfs + "/inner").c_str(), "tmpfs", 0, nullptr), 0);
  RunDeleteOf("c1");
  EXPECT_EQ(umount2(rootfs.c_str(), MNT_DETACH), -1);
  EXPECT_EQ(rmdir(rootfs.c_str()), 0);
}

TEST_F(DeleteTest, WorksWithoutAnyOfTheBundlesFiles) {
  mkdir((directory_ + "/c1").c_str(), 0700);
  std::ofstream(directory_ + "/c1/options.json") << "not json";
  EXPECT_EQ(RunDeleteOf("c1").pid(), 0u);
}

TEST(Delete, RefusesARelativeBundle) {
  Args args;
  args.id = "c1";
  args.containerd_namespace = "ns";
  args.bundle = "relative";
  EXPECT_EQ(Delete(args).error().code(), base::Code::kInvalidArgument);
}

}  // namespace
}  // namespace bulwark::shim
