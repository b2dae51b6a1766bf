#include "lib/ttrpc/status.h"

#include <gtest/gtest.h>

namespace bulwark::ttrpc {
namespace {

using base::Code;
using base::Error;

std::string SentMessage(const std::string& message) {
  return StatusFromError(Error(Code::kInternal, message)).message();
}

TEST(StatusTest, EveryCodeSurvivesTheRoundTrip) {
  for (int code = 1; code <= 16; ++code) {
    const auto status = StatusFromError(Error(static_cast<Code>(code), "why"));
    EXPECT_EQ(status.code(), code);
    EXPECT_FALSE(IsOk(status));
    const Error back = ErrorFromStatus(status);
    EXPECT_EQ(back.code(), static_cast<Code>(code));
    EXPECT_EQ(back.message(), "why");
  }
}

TEST(StatusTest, AnUnknownCodeIsNeverOk) {
  for (const int code : {-1, 17, 1000, INT32_MAX, INT32_MIN}) {
    containerd::ttrpc::Status status;
    status.set_code(code);
    EXPECT_FALSE(IsOk(status)) << code;
    EXPECT_EQ(ErrorFromStatus(status).code(), Code::kUnknown) << code;
  }
  EXPECT_TRUE(IsOk(containerd::ttrpc::Status()));
}

TEST(StatusTest, MessagesAreSentAsUtf8) {
  EXPECT_EQ(SentMessage("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\xb3"),
            "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\xb3");
  EXPECT_EQ(SentMessage("\x80 \xff \xc3"), "? ? ?");
  EXPECT_EQ(SentMessage("\xc0\xaf"), "??");          // overlong
  EXPECT_EQ(SentMessage("\xe0\x80\xaf"), "???");     // overlong
  EXPECT_EQ(SentMessage("\xed\xa0\x80"), "???");     // surrogate
  EXPECT_EQ(SentMessage("\xf4\x90\x80\x80"), "????");  // above U+10FFFF
  EXPECT_EQ(SentMessage("\xf0\x9f\x90"), "???");     // cut short
}

TEST(StatusTest, LongMessagesAreCutAndStayUtf8) {
  std::string text = "x";
  while (text.size() < 2 * kStatusMessageBytesMax) text += "\xe2\x82\xac";
  const std::string sent = SentMessage(text);
  EXPECT_EQ(sent.size(), kStatusMessageBytesMax);
  containerd::ttrpc::Status parsed;
  EXPECT_TRUE(parsed.ParseFromString(
      StatusFromError(Error(Code::kInternal, text)).SerializeAsString()));
}

}  // namespace
}  // namespace bulwark::ttrpc
