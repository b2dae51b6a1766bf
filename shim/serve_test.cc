// The serving process as a whole, from outside: it is a child here, in a directory of its own.
#include "shim/serve.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "containerd/runc_options.pb.h"
#include "containerd/task.pb.h"
#include "containerd/ttrpc.pb.h"
#include "lib/base/event_loop.h"
#include "lib/base/file_io.h"
#include "lib/base/spawn.h"
#include "lib/base/unix_socket.h"
#include "lib/ttrpc/client.h"
#include "lib/ttrpc/frame.h"

namespace bulwark::shim {
namespace {

constexpr rlim_t kSoftDescriptors = 256;

class ServeTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(mkdtemp(directory_.data()), nullptr);
    // containerd's fifo `log`; a file keeps what was written.
    ASSERT_TRUE(base::ReplaceFile(directory_ + "/log", "", 0600, /*durable=*/false));
    shim_ = fork();
    if (shim_ == 0) _exit(RunShim());
  }
  void TearDown() override {
    if (shim_ > 0) {
      kill(shim_, SIGKILL);
      waitpid(shim_, nullptr, 0);
    }
    base::SpawnOptions remove;
    remove.argv = {"rm", "-rf", directory_};
    [[maybe_unused]] const auto removed = base::RunCommand(remove, "", 4096, 20'000);
  }

  int RunShim() const {
    if (chdir(directory_.c_str()) != 0) return 99;
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = kSoftDescriptors;
    setrlimit(RLIMIT_NOFILE, &limit);
    setenv("BULWARK_GATE_SOCKET", (directory_ + "/nobody.sock").c_str(), 1);
    setenv("BULWARK_SPOOL_DIR", directory_.c_str(), 1);
    Args args;
    args.containerd_namespace = "test";
    args.address = directory_ + "/containerd.sock";
    args.socket = socket();
    return Serve(args);
  }

  std::string socket() const { return directory_ + "/shim.sock"; }

  // The pid that a Connect is answered with; 0 if it is not answered. Asked until the shim listens.
  pid_t Connect() const {
    containerd::task::ConnectRequest request;
    request.set_id("none");
    for (int i = 0; i < 500; ++i) {
      auto answer = ttrpc::CallBlocking(socket(), "containerd.task.v3.Task", "Connect",
                                        request.SerializeAsString(), 5'000);
      if (answer) {
        containerd::task::ConnectResponse response;
        return response.ParseFromString(*answer) ? static_cast<pid_t>(response.shim_pid()) : 0;
      }
      if (waitpid(shim_, nullptr, WNOHANG) != 0) return 0;
      usleep(10'000);
    }
    return 0;
  }

  std::string directory_ = "/tmp/bulwark-serve-XXXXXX";
  pid_t shim_ = -1;
};

TEST_F(ServeTest, SignalsMeantForContainerdDoNotEndTheShim) {
  ASSERT_EQ(Connect(), shim_);
  for (const int number : {SIGUSR1, SIGUSR2, SIGHUP, SIGALRM, SIGPIPE}) {
    ASSERT_EQ(kill(shim_, number), 0);
    ASSERT_EQ(Connect(), shim_) << number;
  }
  const std::string log = base::ReadFile(directory_ + "/log", 1 << 20).value();
  EXPECT_NE(log.find("containers"), std::string::npos) << log;
}

TEST_F(ServeTest, TheDescriptorLimitIsRaised) {
  ASSERT_EQ(Connect(), shim_);
  rlimit limit{};
  ASSERT_EQ(prlimit(shim_, RLIMIT_NOFILE, nullptr, &limit), 0);
  EXPECT_EQ(limit.rlim_cur, limit.rlim_max);
}

TEST_F(ServeTest, EndsOnSigterm) {
  ASSERT_EQ(Connect(), shim_);
  ASSERT_EQ(kill(shim_, SIGTERM), 0);
  int status = -1;
  ASSERT_EQ(waitpid(shim_, &status, 0), shim_);
  shim_ = -1;
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_FALSE(base::PathExists(socket()));
}

// A runtime that makes "containers" of sleep(1), and does first whatever a test put into on-VERB.
constexpr char kRuntimeScript[] = R"sh(#!/bin/sh
dir=$(dirname "$0")
while [ $# -gt 0 ]; do
  case $1 in
    --pid-file) pid_file=$2; shift ;;
    --root | --log | --log-format | --bundle | --process) shift ;;
    create | start | exec | pause | resume | update | kill | delete) verb=${verb:-$1} ;;
  esac
  shift
done
echo "$verb" >>"$dir/calls"
[ ! -f "$dir/on-$verb" ] || . "$dir/on-$verb"
case $verb in
  create | exec)
    sleep 1000 </dev/null >/dev/null 2>&1 &
    echo $! >>"$dir/pids"
    printf %s $! >"$pid_file"
    ;;
esac
exit 0
)sh";

constexpr char kSpec[] = R"({"ociVersion":"1.0.2","process":{"args":["sleep"],"cwd":"/"},)"
                         R"("root":{"path":"rootfs"},"linux":{"namespaces":[{"type":"mount"}]}})";

class TaskTest : public ServeTest {
 protected:
  using Answer = std::shared_ptr<std::optional<base::Result<std::string>>>;

  void SetUp() override {
    ServeTest::SetUp();
    Write("runc", kRuntimeScript, 0755);
    ASSERT_TRUE(base::MakeDirectories(directory_ + "/bundle", 0700));
    Write("bundle/config.json", kSpec, 0600);
    base::SpawnOptions gate;
    gate.argv = {BULWARK_BIN_DIR "/fake_gate", "--socket", directory_ + "/nobody.sock"};
    gate.parent_death_signal = SIGKILL;
    auto spawned = base::Spawn(gate);
    ASSERT_TRUE(spawned) << spawned.error().message();
    gate_ = spawned->pid;
    ASSERT_EQ(Connect(), shim_);
    client_ = std::make_unique<ttrpc::Client>(*loop_, base::ConnectUnix(socket()).value(), nullptr);
    CreateAndStart();
  }
  void TearDown() override {
    client_.reset();
    if (gate_ > 0) {
      kill(gate_, SIGKILL);
      waitpid(gate_, nullptr, 0);
    }
    base::SpawnOptions end;
    end.argv = {"/bin/sh", "-c", "kill -9 $(cat pids) 2>/dev/null"};
    end.working_directory = directory_;
    [[maybe_unused]] const auto ended = base::RunCommand(end, "", 4096, 20'000);
    ServeTest::TearDown();
  }

  void Write(const std::string& name, std::string_view text, mode_t mode) {
    ASSERT_TRUE(base::ReplaceFile(directory_ + "/" + name, text, mode, /*durable=*/false));
  }

  template <typename Request>
  Answer Begin(const std::string& method, const Request& request) {
    auto answer = std::make_shared<std::optional<base::Result<std::string>>>();
    client_->Call("containerd.task.v3.Task", method, request.SerializeAsString(), {},
                  [answer](base::Result<std::string> result) { *answer = std::move(result); });
    return answer;
  }
  base::Result<std::string> Await(const Answer& answer) {
    for (int i = 0; i < 2'000 && !answer->has_value(); ++i) {
      if (!loop_->RunOnce(5)) break;
    }
    if (!answer->has_value()) return base::Error(base::Code::kInternal, "the test saw no answer");
    return **answer;
  }
  template <typename Request>
  base::Result<std::string> Do(const std::string& method, const Request& request) {
    return Await(Begin(method, request));
  }

  void CreateAndStart() {
    containerd::runc::Options options;
    options.set_binary_name(directory_ + "/runc");
    containerd::task::CreateTaskRequest create;
    create.set_id("c1");
    create.set_bundle(directory_ + "/bundle");
    create.mutable_options()->set_type_url("containerd.runc.v1.Options");
    create.mutable_options()->set_value(options.SerializeAsString());
    const auto created = Do("Create", create);
    ASSERT_TRUE(created) << created.error().message();
    containerd::task::StartRequest start;
    start.set_id("c1");
    const auto started = Do("Start", start);
    ASSERT_TRUE(started) << started.error().message();
  }
  void AddExec() {
    containerd::task::ExecProcessRequest exec;
    exec.set_id("c1");
    exec.set_exec_id("e1");
    exec.mutable_spec()->set_value(R"({"args":["sleep"],"cwd":"/"})");
    const auto added = Do("Exec", exec);
    ASSERT_TRUE(added) << added.error().message();
  }
  template <typename Request>
  static Request For(const std::string& exec_id) {
    Request request;
    request.set_id("c1");
    request.set_exec_id(exec_id);
    return request;
  }
  uint32_t StatusOf(const Answer& wait) {
    const auto answer = Await(wait);
    containerd::task::WaitResponse response;
    EXPECT_TRUE(answer && response.ParseFromString(*answer));
    return response.exit_status();
  }
  std::string Calls() { return base::ReadFile(directory_ + "/calls", 1 << 20).value(); }

  std::unique_ptr<base::EventLoop> loop_ = std::move(*base::EventLoop::Create());
  std::unique_ptr<ttrpc::Client> client_;
  pid_t gate_ = -1;
};

TEST_F(TaskTest, AKillOfAnExecThatIsBeingStartedReachesIt) {
  Write("on-exec", "sleep 0.3", 0600);
  AddExec();
  const Answer wait = Begin("Wait", For<containerd::task::WaitRequest>("e1"));
  const Answer start = Begin("Start", For<containerd::task::StartRequest>("e1"));
  auto kill_request = For<containerd::task::KillRequest>("e1");
  kill_request.set_signal(SIGKILL);
  const Answer killed = Begin("Kill", kill_request);
  const auto deleted = Do("Delete", For<containerd::task::DeleteRequest>("e1"));
  ASSERT_FALSE(deleted);
  EXPECT_EQ(deleted.error().message(), "cannot delete a running process");
  EXPECT_TRUE(Await(start));
  EXPECT_TRUE(Await(killed));
  EXPECT_EQ(StatusOf(wait), 137u);
}

TEST_F(TaskTest, AnExecThatComesAfterItsInitsDeathIsEnded) {
  Write("on-exec", "kill -9 $(head -n 1 \"$dir/pids\"); sleep 0.3", 0600);
  AddExec();
  const Answer init = Begin("Wait", For<containerd::task::WaitRequest>(""));
  const Answer exec = Begin("Wait", For<containerd::task::WaitRequest>("e1"));
  EXPECT_TRUE(Do("Start", For<containerd::task::StartRequest>("e1")));
  EXPECT_EQ(StatusOf(exec), 137u);
  EXPECT_EQ(StatusOf(init), 137u);
}

TEST_F(TaskTest, APauseThatTheInitDidNotSurviveIsNotReported) {
  Write("on-pause", "kill -9 $(head -n 1 \"$dir/pids\"); sleep 0.3", 0600);
  containerd::task::PauseRequest request;
  request.set_id("c1");
  const auto paused = Do("Pause", request);
  ASSERT_FALSE(paused);
  EXPECT_EQ(paused.error().code(), base::Code::kUnknown);
  EXPECT_EQ(paused.error().message(), "cannot pause a stopped container");
}

TEST_F(TaskTest, ForgottenWaitsDoNotKeepOtherCallsOut) {
  for (int i = 0; i < 1'100; ++i) Begin("Wait", For<containerd::task::WaitRequest>(""));
  EXPECT_TRUE(Do("State", For<containerd::task::StateRequest>("")));
  auto kill_request = For<containerd::task::KillRequest>("");
  kill_request.set_signal(SIGKILL);
  EXPECT_TRUE(Do("Kill", kill_request));
}

// By hand: the client ends a call at its deadline whatever the server does.
TEST_F(TaskTest, AWaitIsAnsweredAtItsCallersDeadline) {
  containerd::ttrpc::Request request;
  request.set_service("containerd.task.v3.Task");
  request.set_method("Wait");
  request.set_payload(For<containerd::task::WaitRequest>("").SerializeAsString());
  request.set_timeout_nano(50'000'000);
  const std::string payload = request.SerializeAsString();
  ttrpc::FrameHeader header;
  header.length = static_cast<uint32_t>(payload.size());
  header.stream_id = 1;
  header.type = ttrpc::kFrameRequest;
  std::string frame(ttrpc::kFrameHeaderBytes, '\0');
  ttrpc::EncodeFrameHeader(header, frame.data());
  const base::UniqueFd peer = base::ConnectUnix(socket()).value();
  ASSERT_TRUE(base::WriteAll(peer.get(), frame + payload));
  pollfd answered{peer.get(), POLLIN, 0};
  ASSERT_EQ(poll(&answered, 1, 10'000), 1);
  char bytes[4096];
  const ssize_t got = read(peer.get(), bytes, sizeof bytes);
  ASSERT_GT(got, static_cast<ssize_t>(ttrpc::kFrameHeaderBytes));
  containerd::ttrpc::Response response;
  const std::string_view body(bytes, static_cast<size_t>(got));
  ASSERT_TRUE(response.ParseFromString(std::string(body.substr(ttrpc::kFrameHeaderBytes))));
  EXPECT_EQ(response.status().code(), static_cast<int>(base::Code::kDeadlineExceeded));
}

TEST_F(TaskTest, AnUpdateGivesTheRuntimeNoDevices) {
  Write("on-update", "cat >\"$dir/resources\"", 0600);
  containerd::task::UpdateTaskRequest request;
  request.set_id("c1");
  request.mutable_resources()->set_value(
      R"({"devices":[{"allow":true,"access":"rwm"}],"pids":{"limit":7}})");
  EXPECT_TRUE(Do("Update", request));
  EXPECT_EQ(base::ReadFile(directory_ + "/resources", 4096).value(), R"({"pids":{"limit":7}})");
  request.mutable_resources()->set_value(R"({"pids":{"limit":7},"PIDS":{"limit":0}})");
  EXPECT_EQ(Do("Update", request).error().code(), base::Code::kInvalidArgument);
}

TEST_F(TaskTest, AQueuedRuntimeCallIsNotStartedByTheEnd) {
  Write("on-pause", "sleep 30", 0600);
  containerd::task::PauseRequest pause;
  pause.set_id("c1");
  containerd::task::UpdateTaskRequest update;
  update.set_id("c1");
  update.mutable_resources()->set_value("{}");
  Begin("Pause", pause);
  Begin("Update", update);
  EXPECT_TRUE(Do("State", For<containerd::task::StateRequest>("")));
  ASSERT_EQ(kill(shim_, SIGTERM), 0);
  int status = -1;
  ASSERT_EQ(waitpid(shim_, &status, 0), shim_);
  shim_ = -1;
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(Calls().find("update"), std::string::npos);
}

}  // namespace
}  // namespace bulwark::shim
