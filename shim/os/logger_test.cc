// The binary:// forms of Stdio, with shell scripts as loggers.
#include <gtest/gtest.h>

#include <optional>

#include "lib/base/file_io.h"
#include "shim/os/stdio.h"
#include "shim/os/test_support.h"

namespace bulwark::shim {
namespace {

using testing::LoopFixture;
using testing::TempDir;

class LoggerTest : public ::testing::Test, protected LoopFixture {
 protected:
  std::string Script(const std::string& body) {
    const std::string path = dir_ / "logger";
    EXPECT_TRUE(base::ReplaceFile(path, "#!/bin/sh\n" + body, 0755, false));
    return path;
  }
  base::Result<std::unique_ptr<Stdio>> Open(const std::string& uri) {
    StdioRequest request;
    request.stdout_uri = uri;
    request.stderr_uri = uri;
    request.logger_id = "box";
    request.logger_namespace = "k8s.io";
    return Stdio::Open(loop(), request);
  }
  std::optional<base::Status> Ready(Stdio& stdio) {
    std::optional<base::Status> ready;
    stdio.WhenReady([&](base::Status status) { ready = std::move(status); });
    RunUntil([&] { return ready.has_value(); });
    return ready;
  }
  TempDir dir_;
};

TEST_F(LoggerTest, ReadsBothStreamsAndKnowsTheContainer) {
  const std::string result = dir_ / "result";
  auto stdio = Open("binary://" + Script("printf x >&5; exec 5>&-\n"
                                         "{ env | grep ^CONTAINER_ | /usr/bin/sort; echo \"$@\"; "
                                         "/bin/cat <&3; /bin/cat <&4; } > " +
                                         result + ".tmp\n/bin/mv " + result + ".tmp " + result +
                                         "\n") +
                    "?key=value");
  ASSERT_TRUE(stdio) << stdio.error().message();
  const auto ready = Ready(**stdio);
  ASSERT_TRUE(ready && *ready);
  const auto descriptors = (*stdio)->ChildDescriptors();
  ASSERT_EQ(descriptors.size(), 2U);
  ASSERT_EQ(write(descriptors[0].first, "out\n", 4), 4);
  ASSERT_EQ(write(descriptors[1].first, "err\n", 4), 4);
  (*stdio)->ChildSpawned();
  (*stdio)->Close();
  ASSERT_TRUE(RunUntil([&] { return base::PathExists(result); }));
  EXPECT_EQ(*base::ReadFile(result, 4096),
            "CONTAINER_ID=box\nCONTAINER_NAMESPACE=k8s.io\nkey value\nout\nerr\n");
}

TEST_F(LoggerTest, ClosingTheReportIsEnoughForVersionOneOnly) {
  const std::string script = Script("exec 5>&-\nexec /bin/cat <&3\n");
  auto first = Open("binary://" + script);
  ASSERT_TRUE(first);
  const auto first_ready = Ready(**first);
  EXPECT_TRUE(first_ready && *first_ready);
  auto second = Open("binary-v2://" + script);
  ASSERT_TRUE(second);
  auto second_ready = Ready(**second);
  ASSERT_TRUE(second_ready);
  ASSERT_FALSE(*second_ready);
  EXPECT_EQ(second_ready->error().code(), base::Code::kFailedPrecondition);
}

TEST_F(LoggerTest, AMissingProgramIsAnErrorAndLeavesNothingOpen) {
  RunFor(1);
  const size_t before = testing::OpenDescriptors();
  const auto stdio = Open("binary:///no/such/logger");
  ASSERT_FALSE(stdio);
  EXPECT_EQ(stdio.error().code(), base::Code::kNotFound);
  EXPECT_EQ(testing::OpenDescriptors(), before);
}

TEST_F(LoggerTest, OneThatDoesNotEndIsTerminatedInTheBackground) {
  const std::string mark = dir_ / "terminated";
  auto stdio = Open("binary://" + Script("trap 'echo > " + mark +
                                         "; exit 0' TERM\nprintf x >&5\n"
                                         "while :; do /bin/sleep 0.05; done\n"));
  ASSERT_TRUE(stdio);
  const auto ready = Ready(**stdio);
  ASSERT_TRUE(ready && *ready);
  stdio->reset();
  EXPECT_TRUE(RunUntil([&] { return base::PathExists(mark); }));
}

}  // namespace
}  // namespace bulwark::shim
