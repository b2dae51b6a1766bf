#include "shim/runtime_log.h"

#include <gtest/gtest.h>

namespace bulwark::shim {
namespace {

TEST(RuntimeLog, FindsTheLastErrorOfRunc) {
  EXPECT_EQ(
      LastErrorMessage(
          R"({"level":"warning","msg":"old","time":"2026-01-01T00:00:00Z"})"
          "\n"
          R"({"level":"error","msg":"first","time":"2026-01-01T00:00:00Z"})"
          "\n"
          R"({"level":"error","msg":"runc create failed: exec: \"x\": executable file not found in $PATH","time":"t"})"
          "\n"
          R"({"level":"debug","msg":"after","time":"t"})"
          "\n"),
      "runc create failed: exec: \"x\": executable file not found in $PATH");
}

TEST(RuntimeLog, FindsTheErrorOfCrun) {
  EXPECT_EQ(
      LastErrorMessage(
          R"({"msg":"executable file `x` not found in $PATH: No such file or directory","level":"error","time":"2026-01-01T00:00:00.5Z"})"),
      "executable file `x` not found in $PATH: No such file or directory");
}

TEST(RuntimeLog, PassesOverLinesThatAreNoEntries) {
  EXPECT_EQ(
      LastErrorMessage("{\"level\":\"error\",\"msg\":\" kept \"}\n{\"level\":\"err\n\n[]\n{}\n"
                       "{\"level\":\"error\",\"msg\":5}\n"),
      "kept");
}

TEST(RuntimeLog, IsEmptyWithoutErrors) {
  EXPECT_EQ(LastErrorMessage(""), "");
  EXPECT_EQ(LastErrorMessage("\n\n"), "");
  EXPECT_EQ(LastErrorMessage(R"({"level":"info","msg":"fine"})"), "");
  EXPECT_EQ(LastErrorOfLogFile("/nonexistent/log.json"), "");
}

TEST(RuntimeLog, BoundsTheMessage) {
  EXPECT_EQ(
      LastErrorMessage("{\"level\":\"error\",\"msg\":\"" + std::string(10'000, 'x') + "\"}").size(),
      4096u);
}

TEST(RuntimeLog, PrefersTheLogThenTheOutputThenTheStatus) {
  EXPECT_EQ(RuntimeFailureText("OCI runtime create failed", "why", "printed", 1),
            "OCI runtime create failed: why");
  EXPECT_EQ(RuntimeFailureText("OCI runtime create failed", "", " printed\n", 1),
            "OCI runtime create failed: printed");
  EXPECT_EQ(RuntimeFailureText("OCI runtime create failed", "", "", 137),
            "OCI runtime create failed: the runtime gave no reason: exit status 137");
}

TEST(RuntimeLog, KnowsTheWordsForAProcessThatIsGone) {
  EXPECT_TRUE(SaysAlreadyGone("os: process already finished"));
  EXPECT_TRUE(SaysAlreadyGone("container not running"));
  EXPECT_TRUE(SaysAlreadyGone("kill container: No such process"));
  EXPECT_TRUE(SaysAlreadyGone("container `x` is not running"));
  EXPECT_TRUE(SaysAlreadyGone("error opening file: container `x` does not exist"));
  EXPECT_FALSE(SaysAlreadyGone("permission denied"));
  EXPECT_TRUE(SaysDoesNotExist("container does not exist"));
  EXPECT_FALSE(SaysDoesNotExist("container is not stopped"));
}

}  // namespace
}  // namespace bulwark::shim
