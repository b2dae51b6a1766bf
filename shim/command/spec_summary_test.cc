#include "shim/command/spec_summary.h"

#include <gtest/gtest.h>

namespace bulwark::shim {
namespace {

using base::Code;

constexpr std::string_view kSpec = R"({
  "ociVersion": "1.0.2-dev",
  "process": {"terminal": true, "user": {"uid": 1000, "gid": 50, "additionalGids": [1, 2]},
    "args": ["sh", "-c", "echo \"}\" {"], "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1, "soft": 1}]},
  "root": {"path": "rootfs"},
  "annotations": {"io.kubernetes.cri.sandbox-id": "pod1", "io.kubernetes.cri.container-type": "container",
    "io.containerd.runc.v2.group": "other"},
  "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "network", "path": "/var/run/netns/x"}],
    "resources": {"memory": {"limit": 1}}}
})";

TEST(SpecSummary, FindsTheFactsThatTheShimNeeds) {
  const auto summary = SummarizeSpec(kSpec);
  ASSERT_TRUE(summary.has_value()) << summary.error().message();
  EXPECT_EQ(summary->sandbox_id, "pod1");
  EXPECT_EQ(summary->group_annotation, "other");
  EXPECT_EQ(summary->container_type, "container");
  EXPECT_TRUE(summary->has_private_pid_namespace);
  EXPECT_TRUE(summary->terminal);
  EXPECT_EQ(summary->uid, 1000u);
  EXPECT_EQ(summary->gid, 50u);
}

TEST(SpecSummary, CopiesTheProcessByteForByte) {
  const auto summary = SummarizeSpec(kSpec);
  ASSERT_TRUE(summary.has_value());
  const size_t begin = kSpec.find("{\"terminal\"");
  const size_t end = kSpec.find(",\n  \"root\"");
  EXPECT_EQ(summary->process_json, kSpec.substr(begin, end - begin));
}

TEST(SpecSummary, CopiesAProcessThatEndsInANumber) {
  const auto summary = SummarizeSpec(R"({"process":{"oomScoreAdj":100}})");
  ASSERT_TRUE(summary.has_value());
  EXPECT_EQ(summary->process_json, R"({"oomScoreAdj":100})");
}

TEST(SpecSummary, APidNamespaceWithAPathIsShared) {
  const auto summary =
      SummarizeSpec(R"({"linux":{"namespaces":[{"path":"/proc/1/ns/pid","type":"pid"}]}})");
  ASSERT_TRUE(summary.has_value());
  EXPECT_FALSE(summary->has_private_pid_namespace);
  EXPECT_FALSE(SummarizeSpec("{}").value().has_private_pid_namespace);
}

TEST(SpecSummary, RefusesKeysThatOccurTwiceWhereTheyAreRead) {
  for (const char* twice :
       {R"({"process":{},"process":{}})", R"({"process":{"terminal":true,"terminal":false}})",
        R"({"process":{"user":{"uid":0,"uid":1}}})", R"({"annotations":{"a":"1","a":"2"}})",
        R"({"linux":{"namespaces":[{"type":"pid","type":"mount"}]}})", R"({"a":1,"\u0061":2})"}) {
    const auto summary = SummarizeSpec(twice);
    ASSERT_FALSE(summary.has_value()) << twice;
    EXPECT_EQ(summary.error().code(), Code::kInvalidArgument);
    EXPECT_NE(summary.error().message().find("occurs twice"), std::string::npos) << twice;
  }
}

// Go matches struct fields case-insensitively, by Unicode simple folding: U+017F is a small s.
TEST(SpecSummary, RefusesKeysThatGoWouldTakeForTheOnesRead) {
  for (const char* other : {R"({"Process":{}})", R"({"process":{"TERMINAL":true}})",
                            R"({"process":{"user":{"UID":0}}})", R"({"linux":{"Namespaces":[]}})",
                            R"({"linux":{"namespaces":[{"Type":"pid"}]}})",
                            "{\"proce\xc5\xbfs\":{}}", R"({"proces\u017f":{}})"}) {
    const auto summary = SummarizeSpec(other);
    ASSERT_FALSE(summary.has_value()) << other;
    EXPECT_NE(summary.error().message().find("could be taken for"), std::string::npos) << other;
  }
  // A map, in Go too: its keys are exact.
  EXPECT_TRUE(SummarizeSpec(R"({"annotations":{"a":"1","A":"2"}})").has_value());
}

TEST(SpecSummary, RefusesValuesOfTheWrongType) {
  for (const char* wrong :
       {"[]", "null", "1", "\"{}\"", R"({"process":[]})", R"({"process":"x"})",
        R"({"annotations":{"a":1}})", R"({"annotations":{"a":{}}})", R"({"annotations":[]})",
        R"({"linux":{"namespaces":{}}})", R"({"linux":{"namespaces":["pid"]}})",
        R"({"linux":{"namespaces":[[]]}})", R"({"linux":{"namespaces":[{"type":1}]}})",
        R"({"process":{"terminal":"yes"}})", R"({"process":{"user":{"uid":-1}}})",
        R"({"process":{"user":{"uid":4294967296}}})", R"({"process":{"user":{"uid":1.5}}})",
        R"({"process":{"user":7}})"}) {
    const auto summary = SummarizeSpec(wrong);
    ASSERT_FALSE(summary.has_value()) << wrong;
    EXPECT_EQ(summary.error().code(), Code::kInvalidArgument) << wrong;
  }
}

TEST(SpecSummary, TakesNullAsAbsent) {
  const auto summary =
      SummarizeSpec(R"({"process":null,"annotations":null,"linux":{"namespaces":null}})");
  ASSERT_TRUE(summary.has_value());
  EXPECT_TRUE(summary->process_json.empty());
}

TEST(SpecSummary, RefusesMalformedText) {
  for (const char* malformed :
       {"", "{", "{}x", R"({"a":})", R"({"process":{"a":1})", "{\"a\":\"\xff\"}", "{,}"}) {
    const auto summary = SummarizeSpec(malformed);
    ASSERT_FALSE(summary.has_value()) << malformed;
    EXPECT_EQ(summary.error().code(), Code::kInvalidArgument);
  }
}

TEST(SpecSummary, RefusesWhatIsTooLargeOrTooDeep) {
  const std::string deep =
      "{\"a\":" + std::string(kSpecDepthMax, '[') + std::string(kSpecDepthMax, ']') + "}";
  EXPECT_EQ(SummarizeSpec(deep).error().code(), Code::kResourceExhausted);
  EXPECT_EQ(SummarizeSpec(std::string(kSpecBytesMax + 1, ' ')).error().code(),
            Code::kResourceExhausted);
}

TEST(GroupOf, PrefersTheSandboxToTheForgeableAnnotation) {
  SpecSummary summary;
  EXPECT_EQ(GroupOf(summary, "c1"), "c1");
  summary.group_annotation = "victim";
  EXPECT_EQ(GroupOf(summary, "c1"), "victim");
  summary.sandbox_id = "pod1";
  EXPECT_EQ(GroupOf(summary, "c1"), "pod1");
}

}  // namespace
}  // namespace bulwark::shim
