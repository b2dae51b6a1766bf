#include "lib/base/result.h"

#include <errno.h>
#include <gtest/gtest.h>

#include <memory>

namespace bulwark::base {
namespace {

Result<int> Half(int value) {
  if (value % 2 != 0) return Error::Make(Code::kInvalidArgument, "halve {}: odd", value);
  return value / 2;
}

Result<int> Quarter(int value) {
  ASSIGN_OR_RETURN(const int half, Half(value));
  ASSIGN_OR_RETURN(const int quarter, Half(half));
  return quarter;
}

Status CheckEven(int value) {
  RETURN_IF_ERROR(Half(value));
  return OkStatus();
}

TEST(ResultTest, HoldsAValueOrAnError) {
  EXPECT_EQ(Quarter(8).value(), 2);
  EXPECT_EQ(Quarter(6).error().message(), "halve 3: odd");
  EXPECT_EQ(Quarter(6).value_or(-1), -1);
  EXPECT_TRUE(CheckEven(2));
  EXPECT_EQ(CheckEven(1).error().code(), Code::kInvalidArgument);
}

TEST(ResultTest, MovesWhatCannotBeCopied) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(5);
  const std::unique_ptr<int> taken = *std::move(result);
  EXPECT_EQ(*taken, 5);
}

TEST(ResultDeathTest, ReadingWhatIsNotThereAborts) {
  EXPECT_DEATH(static_cast<void>(Half(1).value()), "CHECK failed");
  EXPECT_DEATH(static_cast<void>(Half(2).error()), "CHECK failed");
  EXPECT_DEATH(static_cast<void>(OkStatus().error()), "CHECK failed");
}

TEST(ErrorTest, ErrnoPicksTheCodeAndEndsTheMessage) {
  errno = ENOENT;
  const Error error = Error::FromErrno("open {}", "/x");
  EXPECT_EQ(error.code(), Code::kNotFound);
  EXPECT_EQ(error.os_errno(), ENOENT);
  EXPECT_EQ(error.message(), "open /x: No such file or directory");
  EXPECT_EQ(Error::WithErrno(EAGAIN, "x").code(), Code::kUnavailable);
  EXPECT_EQ(Error::WithErrno(EXDEV, "x").code(), Code::kInternal);
}

TEST(ErrorTest, WrapPutsContextInFrontAndKeepsTheRest) {
  const Error error = Error::WithErrno(EPERM, "chmod").Wrap("bundle {}", 7);
  EXPECT_EQ(error.message(), "bundle 7: chmod: Operation not permitted");
  EXPECT_EQ(error.code(), Code::kPermissionDenied);
  EXPECT_EQ(error.os_errno(), EPERM);
}

TEST(ErrorTest, EveryCodeHasItsOwnName) {
  for (int code = 1; code <= 16; ++code) {
    for (int other = 1; other < code; ++other) {
      EXPECT_NE(CodeName(static_cast<Code>(code)), CodeName(static_cast<Code>(other)));
    }
  }
}

}  // namespace
}  // namespace bulwark::base
