#include "shim/exec_spec.h"

#include <gtest/gtest.h>

namespace bulwark::shim {
namespace {

TEST(ExecSpec, KeepsTheVeryBytesWhenTheRequestAgrees) {
  const std::string document = R"({ "terminal" : true, "args":["a"] })";
  EXPECT_EQ(WithTerminal(document, true).value(), document);
  EXPECT_EQ(WithTerminal(R"({"args":["a"]})", false).value(), R"({"args":["a"]})");
}

TEST(ExecSpec, TakesTheTerminalFromTheRequest) {
  EXPECT_EQ(WithTerminal(R"({"terminal":true,"args":["a"]})", false).value(),
            R"({"terminal":false,"args":["a"]})");
  EXPECT_EQ(WithTerminal(R"({"args":["a"]})", true).value(), R"({"args":["a"],"terminal":true})");
}

TEST(ExecSpec, RefusesKeysThatGoWouldTakeForTerminal) {
  EXPECT_FALSE(WithTerminal(R"({"Terminal":true})", true));
  EXPECT_FALSE(WithTerminal(R"({"terminal":true,"TERMINAL":false})", true));
  EXPECT_FALSE(WithTerminal(R"({"terminal":true,"terminal":false})", true));
}

TEST(ExecSpec, DoesNotMindTheKeyDeeperDown) {
  EXPECT_TRUE(WithTerminal(R"({"user":{"Terminal":1},"args":[]})", false));
}

TEST(ExecSpec, RefusesWhatIsNoObject) {
  for (const char* text : {"", "[]", "null", "{", "{}x", "\"a\""}) {
    EXPECT_FALSE(WithTerminal(text, false)) << text;
  }
}

TEST(ExecSpec, RefusesDeepNestingAndHugeDocuments) {
  const std::string deep = "{\"a\":" + std::string(100, '[') + std::string(100, ']') + "}";
  EXPECT_FALSE(WithTerminal(deep, false));
  EXPECT_EQ(WithTerminal(std::string(kProcessSpecBytesMax + 1, ' '), false).error().code(),
            base::Code::kResourceExhausted);
}

}  // namespace
}  // namespace bulwark::shim
