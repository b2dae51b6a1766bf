#include "lib/oci/json_document.h"

#include <gtest/gtest.h>

#include <chrono>

namespace bulwark::oci {
namespace {

using base::Code;

Code ErrorOf(std::string_view text, const JsonLimits& limits = {}) {
  auto document = JsonDocument::Parse(text, limits);
  EXPECT_FALSE(document.has_value()) << text.substr(0, 80);
  return document ? Code::kUnknown : document.error().code();
}

TEST(JsonDocumentTest, KeepsOrderUnknownFieldsAndIntegers) {
  const std::string text = R"({"z":18446744073709551615,"a":-9223372036854775808,"m":[true,null,1.5,"x"]})";
  EXPECT_EQ(JsonDocument::Parse(text)->Dump(), text);
}

TEST(JsonDocumentTest, RefusesRepeatedKeys) {
  EXPECT_EQ(ErrorOf(R"({"a":1,"a":1})"), Code::kInvalidArgument);
  EXPECT_EQ(ErrorOf(R"({"a":1,"\u0061":1})"), Code::kInvalidArgument);
  EXPECT_EQ(ErrorOf(R"({"x":{"Linux":1,"linux":2}})"), Code::kInvalidArgument);
  EXPECT_EQ(ErrorOf(R"({"k":1,"\u212a":2})"), Code::kInvalidArgument);
  EXPECT_EQ(ErrorOf(R"({"s":1,"\u017f":2})"), Code::kInvalidArgument);
  EXPECT_EQ(ErrorOf(R"({"annotations":{"a":"1","a":"2"}})"), Code::kInvalidArgument);
}

TEST(JsonDocumentTest, KeysOfMapsMayDifferByCase) {
  EXPECT_TRUE(JsonDocument::Parse(R"({"annotations":{"Key":"1","key":"2"},"b":[{"a":1},{"A":1}]})").has_value());
}

TEST(JsonDocumentTest, RefusesMalformedText) {
  for (const std::string_view text :
       {std::string_view(""), std::string_view("{"), std::string_view("{} x"), std::string_view("{}{}"),
        std::string_view("\xEF\xBB\xBF{}"), std::string_view("\"\xff\""), std::string_view("\"\xed\xa0\x80\""),
        std::string_view(R"("\ud800")"), std::string_view("18446744073709551616"),
        std::string_view("-9223372036854775809"), std::string_view("01"), std::string_view("NaN"),
        std::string_view("1e999"), std::string_view("[1,]"), std::string_view("{'a':1}"),
        std::string_view("/**/{}"), std::string_view("{}\0", 3), std::string_view("\"a\nb\"")}) {
    EXPECT_EQ(ErrorOf(text), Code::kInvalidArgument) << text;
  }
}

TEST(JsonDocumentTest, BoundsDepthNodesAndBytes) {
  EXPECT_TRUE(JsonDocument::Parse(std::string(64, '[') + std::string(64, ']')).has_value());
  EXPECT_EQ(ErrorOf(std::string(65, '[') + std::string(65, ']')), Code::kResourceExhausted);
  EXPECT_EQ(ErrorOf("[1,2,3]", {100, 10, 3}), Code::kResourceExhausted);
  EXPECT_EQ(ErrorOf("[1,2,3]", {6, 10, 10}), Code::kResourceExhausted);
}

// Milliseconds where quadratic behaviour would take minutes.
TEST(JsonDocumentTest, BombsCostLittle) {
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(ErrorOf(std::string(100u << 20, '[')), Code::kResourceExhausted);
  EXPECT_EQ(ErrorOf(std::string(100u << 20, '['), {200u << 20, 64, 1000}), Code::kResourceExhausted);
  std::string keys = "{";
  for (int i = 0; i < 190'000; ++i) keys += "\"k" + std::to_string(i) + "\":0,";
  keys += "\"end\":0}";
  EXPECT_TRUE(JsonDocument::Parse(keys).has_value());
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TEST(JsonValueTest, GettersAreStrictAboutTypesAndRanges) {
  const auto document =
      JsonDocument::Parse(R"({"s":"x","n":-1,"u":18446744073709551615,"b":true,"nil":null,"f":1.0,"l":["a"],"o":{"k":"v"}})");
  const JsonValue root = document->root();
  EXPECT_EQ(root.GetString("s").value(), "x");
  EXPECT_EQ(root.GetInt64("n").value(), -1);
  EXPECT_EQ(root.GetUint64("u").value(), UINT64_MAX);
  EXPECT_FALSE(root.GetUint64("n").has_value());
  EXPECT_FALSE(root.GetInt64("u").has_value());
  EXPECT_FALSE(root.GetInt64("f").has_value());
  EXPECT_FALSE(root.GetString("n").has_value());
  EXPECT_FALSE(root.GetString("nil").has_value());
  EXPECT_EQ(root.GetStringOr("nil", "d").value(), "d");
  EXPECT_EQ(root.GetStringOr("absent", "d").value(), "d");
  EXPECT_FALSE(root.GetStringOr("b", "d").has_value());
  EXPECT_EQ(root.GetStringArrayOr("l").value().size(), 1u);
  EXPECT_EQ(root.GetStringMapOr("o").value()[0].second, "v");
  EXPECT_EQ(root.FindPath("o.k").AsString().value(), "v");
  EXPECT_TRUE(root.FindPath("o.k.z").IsNull());
  EXPECT_EQ(root.KeyAt(2), "u");
  EXPECT_EQ(JsonValue().size(), 0u);
}

}  // namespace
}  // namespace bulwark::oci
