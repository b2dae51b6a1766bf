#include "plugin/admission/spec_facts.h"

#include <gtest/gtest.h>

#include <string>

namespace bulwark::admission {
namespace {

TEST(SpecFactsTest, UserAndGroupIdsAreRead) {
  const auto facts = ReadProcessFacts(R"({"args":["a"],"user":{"uid":4294967295,"gid":7,"additionalGids":[0]}})");
  ASSERT_TRUE(facts.has_value()) << facts.error().message();
  EXPECT_EQ(facts->uid, 4294967295u);
  EXPECT_EQ(facts->gid, 7u);
}

TEST(SpecFactsTest, IdsBeyond32BitsAreRefusedAndNotCut) {
  for (const std::string user : {R"({"uid":4294967296})", R"({"uid":-1})", R"({"gid":4294968296})", R"({"gid":-4294967295})",
                                 R"({"additionalGids":[1,4294967296]})"}) {
    const auto facts = ReadProcessFacts(R"({"args":["a"],"user":)" + user + "}");
    ASSERT_FALSE(facts.has_value()) << user;
    EXPECT_EQ(facts.error().code(), base::Code::kInvalidArgument) << user;
  }
}

}  // namespace
}  // namespace bulwark::admission
