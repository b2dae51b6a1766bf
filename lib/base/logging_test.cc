#include "lib/base/logging.h"

#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/unique_fd.h"

namespace bulwark::base {
namespace {

class LoggingTest : public testing::Test {
 protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    read_.Reset(ends[0]);
    write_.Reset(ends[1]);
    ASSERT_EQ(fcntl(read_.get(), F_SETFL, O_NONBLOCK), 0);
    SetLogSink(write_.get(), LogLevel::kInfo);
  }
  void TearDown() override { SetLogSink(STDERR_FILENO, LogLevel::kInfo); }
  std::string Written() const {
    std::string text(1 << 17, '\0');
    const ssize_t got = read(read_.get(), text.data(), text.size());
    text.resize(got < 0 ? 0 : static_cast<size_t>(got));
    return text;
  }

  UniqueFd read_;
  UniqueFd write_;
};

TEST_F(LoggingTest, ALineIsLogfmtWithTheTimeInUtc) {
  const time_t before = time(nullptr);
  LogWarn("container created", {{"container_id", "abc-1"}, {"pid", "12"}});
  const std::string line = Written();
  EXPECT_THAT(line, testing::MatchesRegex(
                        "time=\"....-..-..T..:..:..\\..........Z\" level=warning "
                        "msg=\"container created\" container_id=abc-1 pid=12\n"));
  tm parsed{};
  ASSERT_NE(strptime(line.c_str() + 6, "%Y-%m-%dT%H:%M:%S", &parsed), nullptr);
  const time_t logged = timegm(&parsed);
  EXPECT_GE(logged, before);
  EXPECT_LE(logged, time(nullptr));
}

TEST_F(LoggingTest, ValuesCanNeitherEndTheLineNorControlATerminal) {
  LogInfo("m", {{"v", "a\nlevel=error \"q\" \\ \x1b[0m\xc3\xa4"}, {"empty", ""}});
  EXPECT_THAT(Written(), testing::EndsWith(
                             "msg=m v=\"a\\nlevel=error \\\"q\\\" \\\\ \\x1b[0m\\xc3\\xa4\" "
                             "empty=\"\"\n"));
}

TEST_F(LoggingTest, LinesBelowTheLeastLevelAreNotWritten) {
  LogDebug("hidden");
  EXPECT_EQ(Written(), "");
  SetLogSink(write_.get(), LogLevel::kDebug);
  LogDebug("shown");
  EXPECT_THAT(Written(), testing::HasSubstr("level=debug msg=shown"));
}

TEST_F(LoggingTest, ALineIsCutToWhatAPipeTakesAtOnce) {
  LogInfo(std::string(10'000, 'x'));
  const std::string line = Written();
  EXPECT_EQ(line.size(), 4096U);
  EXPECT_EQ(line.back(), '\n');
}

TEST_F(LoggingTest, AFullSinkDropsLinesInsteadOfBlocking) {
  for (int i = 0; i < 5000; ++i) LogInfo("filling the pipe until it takes no more");
  const std::string text = Written();
  EXPECT_EQ(text.back(), '\n');
  errno = EPROTO;
  SetLogSink(-1, LogLevel::kInfo);
  LogInfo("nowhere");
  EXPECT_EQ(errno, EPROTO);
}

}  // namespace
}  // namespace bulwark::base
