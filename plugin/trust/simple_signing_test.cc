#include "plugin/trust/simple_signing.h"

#include <gtest/gtest.h>

#include "plugin/trust/signing_test_support.h"

namespace bulwark::trust {
namespace {

TEST(SimpleSigningTest, CosignsPayloadIsRead) {
  const auto payload = ParseSimpleSigning(
      TestPayload(TestDigest('a'), "registry.corp/prod/app", R"({"env":"prod","creator":"cosign","timestamp":1700000000})"));
  ASSERT_TRUE(payload) << payload.error().message();
  EXPECT_EQ(payload->manifest_digest, TestDigest('a'));
  EXPECT_EQ(payload->docker_reference, "registry.corp/prod/app");
  EXPECT_EQ(payload->optional.size(), 2u) << "a number is no text";
  EXPECT_EQ(payload->optional.at("env"), "prod");
}

TEST(SimpleSigningTest, OptionalMayBeNullOrAbsent) {
  EXPECT_TRUE(ParseSimpleSigning(TestPayload(TestDigest('a'))));
  std::string payload = TestPayload(TestDigest('a'));
  payload = payload.substr(0, payload.find(",\"optional\"")) + "}";
  EXPECT_TRUE(ParseSimpleSigning(payload)) << payload;
}

TEST(SimpleSigningTest, GarbageIsRefused) {
  const std::string whole = TestPayload(TestDigest('a'));
  for (const std::string& text : {std::string(), std::string("null"), std::string("[]"), std::string("{}"),
                                  std::string("\"critical\""), whole.substr(0, whole.size() - 1), whole + "x",
                                  "\xef\xbb\xbf" + whole, std::string(100'000, '['), std::string(70'000, ' ') + whole}) {
    EXPECT_FALSE(ParseSimpleSigning(text)) << text.substr(0, 80);
  }
}

TEST(SimpleSigningTest, PayloadTypeOfAnotherProtocolIsRefused) {
  EXPECT_FALSE(ParseSimpleSigning(TestPayload(TestDigest('a'), "r/a", "null", "atomic container signature")));
  EXPECT_FALSE(ParseSimpleSigning(TestPayload(TestDigest('a'), "r/a", "null", "")));
}

TEST(SimpleSigningTest, DuplicateKeysAreRefusedHoweverTheyAreSpelt) {
  const std::string digest = TestDigest('a');
  const std::string head = R"({"critical":{"identity":{"docker-reference":"r/a"},"image":{"docker-manifest-digest":")";
  const std::string tail = R"("},"type":"cosign container image signature"},"optional":null})";
  ASSERT_TRUE(ParseSimpleSigning(head + digest + tail));
  for (const std::string_view key : {"docker-manifest-digest", "d\\u006fcker-manifest-digest", "Docker-Manifest-Digest"}) {
    const std::string twice = fmt::format(R"({}","{}":"{})", digest, key, TestDigest('b'));
    EXPECT_FALSE(ParseSimpleSigning(head + twice + tail)) << key;
  }
}

TEST(SimpleSigningTest, UnknownMembersAreRefused) {
  EXPECT_FALSE(ParseSimpleSigning(
      R"({"critical":{"identity":{"docker-reference":"r/a"},"image":{"docker-manifest-digest":")" + TestDigest('a') +
      R"("},"type":"cosign container image signature","more":1},"optional":null})"));
  std::string payload = TestPayload(TestDigest('a'));
  payload.insert(payload.size() - 1, R"(,"more":1)");
  EXPECT_FALSE(ParseSimpleSigning(payload));
}

TEST(SimpleSigningTest, MalformedDigestsAreRefused) {
  for (const std::string& digest :
       {std::string(), std::string("sha256:") + std::string(63, 'a'), "sha256:" + std::string(64, 'A'),
        "SHA256:" + std::string(64, 'a'), "md5:" + std::string(32, 'a'), "sha512:" + std::string(64, 'a'),
        std::string(64, 'a'), "sha256:../../" + std::string(58, 'a')}) {
    EXPECT_FALSE(ParseSimpleSigning(TestPayload(digest))) << digest;
  }
}

}  // namespace
}  // namespace bulwark::trust
