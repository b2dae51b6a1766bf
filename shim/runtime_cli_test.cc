#include "shim/runtime_cli.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <optional>

#include "lib/base/file_io.h"

namespace bulwark::shim {
namespace {

// A script stands in for the runtime: it notes its arguments and does what the test wants.
class RuntimeCliTest : public testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/runtime_cli_test.XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    bundle_ = path;
  }
  void TearDown() override {
    for (const char* name : {"runtime", "arguments", "log.json", "init.pid"}) {
      unlink((bundle_ + "/" + name).c_str());
    }
    EXPECT_EQ(rmdir(bundle_.c_str()), 0) << "a call left a file behind";
  }

  RuntimeCli MakeCli(const std::string& body) {
    const std::string script =
        "#!/bin/sh\nprintf '%s\\n' \"$*\" >> '" + bundle_ + "/arguments'\nlog=$4\n" + body + "\n";
    EXPECT_TRUE(base::ReplaceFile(bundle_ + "/runtime", script, 0755, false));
    RuntimeCli::Settings settings;
    settings.binary = bundle_ + "/runtime";
    settings.root = "/run/r/ns";
    settings.bundle = bundle_;
    settings.container_id = "c1";
    return RuntimeCli(*loop_, reaper_, settings);
  }

  RuntimeCli::Done Store() {
    return [this](RuntimeResult result) { result_ = std::move(result); };
  }
  void RunUntilDone() {
    EXPECT_FALSE(result_.has_value()) << "told before the call returned";
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!result_ && std::chrono::steady_clock::now() < end) ASSERT_TRUE(loop_->RunOnce(100));
    ASSERT_TRUE(result_.has_value());
  }
  // Without the log's name, which differs from call to call.
  std::string Arguments() {
    std::string text = base::ReadFile(bundle_ + "/arguments", 4096).value();
    const size_t begin = text.find("--log ");
    const size_t end = text.find(" --log-format");
    return text.erase(begin, end - begin + 1);
  }

  std::string bundle_;
  std::unique_ptr<base::EventLoop> loop_ = std::move(*base::EventLoop::Create());
  Reaper reaper_{*loop_, base::SystemClock()};
  std::optional<RuntimeResult> result_;
};

TEST_F(RuntimeCliTest, CreateNamesBundlePidFileAndConsole) {
  RuntimeCli cli = MakeCli("exit 0");
  cli.Create("/tmp/s", {}, Store());
  RunUntilDone();
  EXPECT_TRUE(result_->ok());
  EXPECT_EQ(Arguments(), "--root /run/r/ns --log-format json create --bundle " + bundle_ +
                             " --pid-file " + bundle_ + "/init.pid --console-socket /tmp/s c1\n");
}

TEST_F(RuntimeCliTest, KillPutsTheSignalBehindTheId) {
  RuntimeCli cli = MakeCli("exit 0");
  cli.Kill(9, /*all=*/true, Store());
  RunUntilDone();
  EXPECT_EQ(Arguments(), "--root /run/r/ns --log-format json kill --all c1 9\n");
}

TEST_F(RuntimeCliTest, AFailureTellsTheLastErrorOfItsOwnLog) {
  RuntimeCli cli = MakeCli("echo '{\"level\":\"error\",\"msg\":\"no luck\"}' > $log; exit 1");
  cli.Start(Store());
  RunUntilDone();
  EXPECT_EQ(result_->exit_status, 1);
  EXPECT_EQ(result_->ToError("OCI runtime start failed").message(),
            "OCI runtime start failed: no luck");
}

TEST_F(RuntimeCliTest, AStaleErrorOfAnEarlierCallIsNotRepeated) {
  ASSERT_TRUE(base::ReplaceFile(bundle_ + "/log.json", "{\"level\":\"error\",\"msg\":\"stale\"}",
                                0600, false));
  RuntimeCli cli = MakeCli("exit 3");
  cli.Create("/tmp/s", {}, Store());
  RunUntilDone();
  EXPECT_EQ(result_->ToError("OCI runtime create failed").message(),
            "OCI runtime create failed: the runtime gave no reason: exit status 3");
}

TEST_F(RuntimeCliTest, CapturesOutputAndGivesInput) {
  RuntimeCli cli = MakeCli("cat; echo err >&2");
  cli.Update("{\"a\":1}", Store());
  RunUntilDone();
  EXPECT_EQ(result_->output, "{\"a\":1}err\n");
}

TEST_F(RuntimeCliTest, AContainersStdioIsNotCaptured) {
  RuntimeCli cli = MakeCli("readlink /proc/self/fd/1 > '" + bundle_ + "/arguments'");
  cli.Create("", {}, Store());
  RunUntilDone();
  EXPECT_EQ(result_->output, "");
}

TEST_F(RuntimeCliTest, AMissingRuntimeIsAFailedCall) {
  RuntimeCli::Settings settings;
  settings.binary = "/nonexistent/runtime";
  settings.bundle = bundle_;
  RuntimeCli cli(*loop_, reaper_, settings);
  cli.Start(Store());
  RunUntilDone();
  EXPECT_EQ(result_->exit_status, 127);
  EXPECT_NE(result_->ToError("OCI runtime start failed").message().find("No such file"),
            std::string::npos);
}

TEST_F(RuntimeCliTest, AnExecCalledInitDoesNotTakeTheInitsPidFile) {
  const RuntimeCli cli = MakeCli("exit 0");
  EXPECT_EQ(cli.PidFile(""), bundle_ + "/init.pid");
  EXPECT_EQ(cli.PidFile("e1"), bundle_ + "/e1.pid");
  EXPECT_NE(cli.PidFile("init"), cli.PidFile(""));
}

TEST_F(RuntimeCliTest, ReadsOnlyAPidFromAPidFile) {
  const std::string path = bundle_ + "/init.pid";
  for (const char* good : {"12", "12\n"}) {
    ASSERT_TRUE(base::ReplaceFile(path, good, 0600, false));
    EXPECT_EQ(ReadPidFile(path).value(), 12);
  }
  for (const char* bad : {"", "0", "-1", "12x", "x", "99999999999999"}) {
    ASSERT_TRUE(base::ReplaceFile(path, bad, 0600, false));
    EXPECT_FALSE(ReadPidFile(path)) << bad;
  }
}

}  // namespace
}  // namespace bulwark::shim
