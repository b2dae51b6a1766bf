#include "plugin/policy/yaml_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace bulwark::policy {
namespace {

using ::testing::StartsWith;

std::string ErrorOf(std::string_view text) {
  auto documents = ReadYaml("f", text);
  return documents ? "no error" : documents.error().message();
}

TEST(YamlReader, KeepsPositionsAndWhetherAScalarWasQuoted) {
  auto documents = ReadYaml("f", "a: 1\nb:\n  - \"x\"\n");
  ASSERT_TRUE(documents);
  ASSERT_EQ(documents->size(), 1U);
  const YamlNode& root = documents->front();
  ASSERT_EQ(root.items.size(), 4U);
  EXPECT_TRUE(root.items[1].is_plain);
  EXPECT_EQ(root.items[1].line, 1);
  EXPECT_EQ(root.items[1].column, 4);
  const YamlNode& quoted = root.items[3].items.at(0);
  EXPECT_FALSE(quoted.is_plain);
  EXPECT_EQ(quoted.line, 3);
  EXPECT_EQ(quoted.column, 5);
}

TEST(YamlReader, ReadsAStreamOfDocumentsAndSkipsEmptyOnes) {
  auto documents = ReadYaml("f", "a: 1\n---\n---\nb: 2\n");
  ASSERT_TRUE(documents);
  EXPECT_EQ(documents->size(), 2U);
  EXPECT_TRUE(ReadYaml("f", "# only a comment\n")->empty());
  EXPECT_TRUE(ReadYaml("f", "")->empty());
}

TEST(YamlReader, RefusesWhatMakesAFileMeanMoreThanItShows) {
  EXPECT_EQ(ErrorOf("a: &x 1\n"), "f:1:4: anchors are not allowed in policies");
  EXPECT_THAT(ErrorOf("a: &x {b: 1}\nc: *x\n"), StartsWith("f:1:4: anchors"));
  EXPECT_EQ(ErrorOf("<<: {a: 1}\n"), "f:1:1: merge keys are not allowed in policies; write the keys out");
  EXPECT_EQ(ErrorOf("a: !!str 1\n"), "f:1:4: tags are not allowed in policies");
  EXPECT_EQ(ErrorOf("a: !mine [1]\n"), "f:1:4: tags are not allowed in policies");
  EXPECT_THAT(ErrorOf("a: *x\n"), StartsWith("f:1:"));
}

TEST(YamlReader, RefusesBytesThatHideText) {
  EXPECT_EQ(ErrorOf("a: \xff\n"), "f:1:4: not UTF-8");
  EXPECT_EQ(ErrorOf("a: \xc0\xaf\n"), "f:1:4: not UTF-8") << "overlong";
  EXPECT_EQ(ErrorOf("a: \xed\xa0\x80\n"), "f:1:4: not UTF-8") << "surrogate";
  EXPECT_EQ(ErrorOf("a: 1\nb: \x1b[2K\n"), "f:2:4: control character; remove it");
  EXPECT_EQ(ErrorOf(std::string_view("a: \0\n", 5)), "f:1:4: control character; remove it");
  EXPECT_EQ(ErrorOf("a: x\xe2\x80\xae\n"), "f:1:5: invisible formatting character; remove it");
  EXPECT_EQ(ErrorOf("\xef\xbb\xbf" "a: x\n"), "f:1:1: invisible formatting character; remove it");
  EXPECT_EQ(ErrorOf("a: größer, 水, 😀\n"), "no error");
}

TEST(YamlReader, BoundsDepthInEveryStyle) {
  EXPECT_THAT(ErrorOf(std::string(17, '[') + std::string(17, ']')), StartsWith("f:1:17: nested too deeply"));
  EXPECT_EQ(ErrorOf(std::string(16, '[') + std::string(16, ']')), "no error");
  EXPECT_THAT(ErrorOf(std::string(100'000, '[')), StartsWith("f:1:"));
  EXPECT_THAT(ErrorOf(std::string(100'000, '{')), StartsWith("f:1:"));
  std::string block;
  for (int i = 0; i < 600; ++i) block += "- ";
  EXPECT_THAT(ErrorOf(block + "x\n"), StartsWith("f:1:"));
}

TEST(YamlReader, BoundsTheNumberOfValues) {
  std::string wide = "[";
  for (size_t i = 0; i < kYamlNodesMax; ++i) wide += "a,";
  EXPECT_THAT(ErrorOf(wide + "a]"), testing::HasSubstr("too many values"));
}

TEST(YamlReader, SaysWhereTheYamlBreaks) {
  EXPECT_THAT(ErrorOf("a: 1\nb: [1, 2\nc: 3\n"), StartsWith("f:"));
  EXPECT_EQ(ErrorOf("a: 'x\n"), "f:1:4: the quote is not closed");
  EXPECT_EQ(ErrorOf("a: \nb: 'it''s'\nc: \"\\\"\"\n"), "no error");
  EXPECT_EQ(ErrorOf("ä: ö\nb: \"\\\"\n"), "f:2:4: the quote is not closed");
  EXPECT_THAT(ErrorOf("a:\n\t- x\n"), StartsWith("f:2:"));
}

}  // namespace
}  // namespace bulwark::policy
