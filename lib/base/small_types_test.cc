// UniqueFd, Cleanup, clocks, hexadecimal and random bytes.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/hex.h"
#include "lib/base/random.h"
#include "lib/base/unique_fd.h"

namespace bulwark::base {
namespace {

UniqueFd OpenNull() { return UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC)); }
bool IsOpen(int fd) { return fcntl(fd, F_GETFD) >= 0; }

TEST(UniqueFdTest, ClosesAtTheEndOfItsScope) {
  int number = -1;
  {
    const UniqueFd fd = OpenNull();
    number = fd.get();
    EXPECT_TRUE(IsOpen(number));
  }
  EXPECT_FALSE(IsOpen(number));
}

TEST(UniqueFdTest, MovesWithoutClosingAndSurvivesSelfMove) {
  UniqueFd fd = OpenNull();
  const int number = fd.get();
  UniqueFd& alias = fd;
  fd = std::move(alias);
  EXPECT_EQ(fd.get(), number);
  UniqueFd other(std::move(fd));
  EXPECT_FALSE(fd.is_open());  // NOLINT(bugprone-use-after-move): this state is promised
  EXPECT_EQ(other.get(), number);
  UniqueFd third = OpenNull();
  const int replaced = third.get();
  third = std::move(other);
  EXPECT_FALSE(IsOpen(replaced));
  EXPECT_TRUE(IsOpen(number));
}

TEST(UniqueFdTest, ReleaseGivesOwnershipUpAndResetKeepsErrno) {
  UniqueFd fd = OpenNull();
  const int number = fd.Release();
  EXPECT_FALSE(fd.is_open());
  EXPECT_TRUE(IsOpen(number));
  fd.Reset(number);
  errno = EPROTO;
  fd.Reset();
  EXPECT_EQ(errno, EPROTO);
  EXPECT_FALSE(IsOpen(number));
}

TEST(CleanupTest, RunsUnlessCancelled) {
  int runs = 0;
  { const Cleanup cleanup([&] { ++runs; }); }
  {
    Cleanup cleanup([&] { ++runs; });
    cleanup.Cancel();
  }
  EXPECT_EQ(runs, 1);
}

TEST(ClockTest, TheSystemsClockMovesAndTheFakeOneDoesNot) {
  EXPECT_GT(SystemClock().WallNanos(), int64_t{1'600'000'000} * 1'000'000'000);
  const int64_t before = SystemClock().BootNanos();
  EXPECT_GE(SystemClock().BootNanos(), before);
  FakeClock fake;
  fake.wall_ns = 5;
  EXPECT_EQ(fake.WallNanos(), 5);
  EXPECT_EQ(fake.BootNanos(), 0);
}

TEST(HexTest, EncodesAndDecodesEveryByte) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes.push_back(static_cast<char>(i));
  const std::string digits = HexEncode(bytes);
  EXPECT_EQ(digits.substr(0, 6), "000102");
  EXPECT_EQ(digits.substr(506), "fdfeff");
  EXPECT_EQ(HexDecode(digits).value(), bytes);
  EXPECT_EQ(HexDecode("aBFf").value(), "\xab\xff");
  EXPECT_EQ(HexDecode("").value(), "");
}

TEST(HexTest, RefusesWhatIsNotHexadecimal) {
  for (const char* bad : {"a", "0g", "g0", " 0", "0x", "-1", "@@"}) {
    EXPECT_EQ(HexDecode(bad).error().code(), Code::kInvalidArgument) << bad;
  }
}

TEST(RandomTest, BytesHaveTheirLengthAndDiffer) {
  EXPECT_EQ(RandomBytes(0), "");
  EXPECT_EQ(RandomBytes(1000).size(), 1000U);
  EXPECT_NE(RandomBytes(16), RandomBytes(16));
  EXPECT_EQ(RandomHexId(8).size(), 16U);
  EXPECT_TRUE(HexDecode(RandomHexId()));
}

}  // namespace
}  // namespace bulwark::base
