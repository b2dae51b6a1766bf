#include "plugin/policy/policy_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/file_io.h"
#include "plugin/policy/policy_test_support.h"

namespace bulwark::policy {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kMatch[] = "    match: {images: [\"r.corp/**\"]}\n";

// A document with one rule whose further lines start at line 6.
std::string RuleWith(std::string_view lines) {
  return WithHead("rules:\n  - name: x\n" + std::string(kMatch) + std::string(lines));
}

TEST(PolicyParser, NoFilesDenyEverything) {
  auto set = ParsePolicy({}, ReadTestKey);
  ASSERT_TRUE(set);
  EXPECT_EQ(set->defaults().action, Action::kDeny);
  EXPECT_EQ(set->defaults().mode, Mode::kEnforce);
  EXPECT_TRUE(set->rules().empty());
}

TEST(PolicyParser, UnknownKeysAreErrorsWithPositionAndSuggestion) {
  EXPECT_EQ(ErrorOf(WithHead("rulez: []\n")), "/p/a.yaml:3:1: unknown key \"rulez\" in policy; did you mean \"rules\"?");
  EXPECT_EQ(ErrorOf(RuleWith("    requires: {}\n")),
            "/p/a.yaml:6:5: unknown key \"requires\" in rule; did you mean \"require\"?");
  EXPECT_EQ(ErrorOf(RuleWith("    require: {signature: {}}\n")),
            "/p/a.yaml:6:15: unknown key \"signature\" in require; did you mean \"signatures\"?");
  EXPECT_EQ(ErrorOf(RuleWith("    require: {scan: {max_age: 72h}}\n")),
            "/p/a.yaml:6:22: unknown key \"max_age\" in require.scan; did you mean \"maxAge\"?");
  EXPECT_EQ(ErrorOf(RuleWith("    profile: {noNewPrivilege: true}\n")),
            "/p/a.yaml:6:15: unknown key \"noNewPrivilege\" in profile; did you mean \"noNewPrivileges\"?");
  EXPECT_EQ(ErrorOf(RuleWith("    exec: {deny: []}\n")),
            "/p/a.yaml:6:12: unknown key \"deny\" in exec; expected one of: default, allow");
  EXPECT_EQ(ErrorOf(WithHead("defaults: {actoin: deny}\n")),
            "/p/a.yaml:3:12: unknown key \"actoin\" in defaults; did you mean \"action\"?");
  EXPECT_EQ(ErrorOf(WithHead("authorities: {k: {cosign: {}}}\n")),
            "/p/a.yaml:3:19: unknown key \"cosign\" in authority; did you mean \"cosignKey\"?");
}

TEST(PolicyParser, DuplicateKeysAreErrors) {
  EXPECT_EQ(ErrorOf(WithHead("rules: []\nrules: []\n")), "/p/a.yaml:4:1: key \"rules\" is given twice in policy");
  EXPECT_EQ(ErrorOf(RuleWith("    mode: audit\n    mode: enforce\n")), "/p/a.yaml:7:5: key \"mode\" is given twice in rule");
  EXPECT_EQ(ErrorOf(RuleWith("    require:\n      signatures: {of: [k], annotations: {a: b, \"a\": c}}\n")),
            "/p/a.yaml:7:25: unknown authority \"k\"; define it under authorities");
}

TEST(PolicyParser, HeadMustBeOurs) {
  EXPECT_EQ(ErrorOf("kind: Policy\n"), "/p/a.yaml:1:1: policy lacks the key \"apiVersion\"");
  EXPECT_EQ(ErrorOf("apiVersion: bulwark.dev/v1\n"), "/p/a.yaml:1:1: policy lacks the key \"kind\"");
  EXPECT_THAT(ErrorOf("apiVersion: bulwark.dev/v2\nkind: Policy\n"), StartsWith("/p/a.yaml:1:13: unknown value"));
  EXPECT_THAT(ErrorOf("apiVersion: bulwark.dev/v1\nkind: Pod\n"), StartsWith("/p/a.yaml:2:7: unknown value \"Pod\""));
  EXPECT_EQ(ErrorOf("[]\n"), "/p/a.yaml:1:1: policy must be a mapping, not a sequence");
}

TEST(PolicyParser, WrongTypesAreErrors) {
  EXPECT_EQ(ErrorOf(WithHead("rules: {}\n")), "/p/a.yaml:3:8: expected a sequence, found a mapping");
  EXPECT_EQ(ErrorOf(WithHead("rules: [x]\n")), "/p/a.yaml:3:9: rule must be a mapping, not text");
  EXPECT_EQ(ErrorOf(RuleWith("    profile: {noNewPrivileges: yes}\n")),
            "/p/a.yaml:6:32: expected true or false, found \"yes\"");
  EXPECT_EQ(ErrorOf(RuleWith("    profile: {noNewPrivileges: \"true\"}\n")),
            "/p/a.yaml:6:32: expected true or false, found \"true\"");
  EXPECT_EQ(ErrorOf(RuleWith("    exec: {allow: [{argv: [sleep, 1]}]}\n")),
            "/p/a.yaml:6:35: expected text, found 1; put it in quotes if text is meant");
  EXPECT_EQ(ErrorOf(RuleWith("    exec: {allow: [{argv: [a], users: [root]}]}\n")),
            "/p/a.yaml:6:40: expected a whole number, found \"root\"");
  EXPECT_EQ(ErrorOf(RuleWith("    mode: warn\n")), "/p/a.yaml:6:11: unknown value \"warn\"; expected one of: enforce, audit");
  EXPECT_EQ(ErrorOf(RuleWith("    mode: enforced\n")), "/p/a.yaml:6:11: unknown value \"enforced\"; did you mean \"enforce\"?");
  EXPECT_EQ(ErrorOf(RuleWith("    profile: {capabilities: [CAP_SYS_ADMN]}\n")),
            "/p/a.yaml:6:30: unknown value \"CAP_SYS_ADMN\"; did you mean \"CAP_SYS_ADMIN\"?");
  EXPECT_EQ(ErrorOf(RuleWith("    require:\n")), "/p/a.yaml:6:5: require must be a mapping, not nothing");
}

TEST(PolicyParser, DurationsNeedAUnit) {
  const auto error = [](std::string_view age) {
    return ErrorOf(RuleWith("    require: {scan: {maxAge: " + std::string(age) + "}}\n"));
  };
  for (std::string_view bad : {"72", "h", "72hours", "-72h", "1.5h", "0h", "1h1h", "1m1h", "99999d", "9999999999999999999h",
                               "\"72 h\"", "never"}) {
    EXPECT_THAT(error(bad), StartsWith("/p/a.yaml:6:30: expected a duration such as 72h")) << bad;
  }
  for (std::string_view good : {"72h", "1d12h", "90m", "30s", "1h30m"}) EXPECT_EQ(error(good), "no error") << good;
}

TEST(PolicyParser, AScanWithoutAgeLimitIsRefused) {
  EXPECT_EQ(ErrorOf(RuleWith("    require: {scan: {}}\n")), "/p/a.yaml:6:21: require.scan lacks the key \"maxAge\"");
}

TEST(PolicyParser, SeveritiesAreChecked) {
  EXPECT_EQ(ErrorOf(RuleWith("    require: {scan: {maxAge: 1h, block: {severity: hgh}}}\n")),
            "/p/a.yaml:6:52: unknown value \"hgh\"; did you mean \"high\"?");
  EXPECT_THAT(ErrorOf(RuleWith("    require: {scan: {maxAge: 1h, block: {severity: severe}}}\n")),
              StartsWith("/p/a.yaml:6:52: unknown value \"severe\""));
  EXPECT_THAT(ErrorOf(RuleWith("    require: {scan: {maxAge: 1h, unknownAs: unknown}}\n")),
              StartsWith("/p/a.yaml:6:45: unknown value \"unknown\""));
}

TEST(PolicyParser, KeyFilesAreReadRelativeToThePolicyFile) {
  EXPECT_EQ(ErrorOf(WithHead("authorities: {k: {cosignKey: {files: [a.pub, /abs/b.pub]}}}\n")), "no error");
  EXPECT_EQ(ErrorOf(WithHead("authorities: {k: {cosignKey: {files: [none.pub]}}}\n")),
            "/p/a.yaml:3:39: key of authority k: open /p/none.pub: No such file or directory");
  EXPECT_EQ(ErrorOf(WithHead("authorities: {k: {cosignKey: {files: [empty.pub]}}}\n")),
            "/p/a.yaml:3:39: /p/empty.pub holds no PEM block \"PUBLIC KEY\"");
  EXPECT_EQ(ErrorOf(WithHead("authorities: {k: {cosignKey: {files: [cut.pub]}}}\n")),
            "/p/a.yaml:3:39: /p/cut.pub ends within a PEM block");
  EXPECT_THAT(ErrorOf(WithHead("authorities: {k: {cosignKey: {files: [private.pem]}}}\n")),
              StartsWith("/p/a.yaml:3:39: /p/private.pem holds a private key"));
}

TEST(PolicyParser, RequirementsThatCannotHoldAreErrors) {
  const std::string head = WithHead("authorities: {a: {cosignKey: {files: [a.pub]}}}\nrules:\n  - name: x\n") + kMatch;
  EXPECT_EQ(ErrorOf(head + "    require: {signatures: {atLeast: 2, of: [a]}}\n"),
            "/p/a.yaml:7:37: expected a number from 1 to 1, found 2");
  EXPECT_EQ(ErrorOf(head + "    require: {signatures: {of: [a, a]}}\n"), "/p/a.yaml:7:36: \"a\" is listed twice");
  EXPECT_EQ(ErrorOf(head + "    require: {signatures: {of: [A]}}\n"),
            "/p/a.yaml:7:33: unknown authority \"A\"; did you mean \"a\"?");
  EXPECT_THAT(ErrorOf(head + "    require: {signatures: {of: []}}\n"), StartsWith("/p/a.yaml:7:32: an empty sequence"));
  EXPECT_EQ(ErrorOf(head + "    require: {signatures: {atLeast: 1}}\n"),
            "/p/a.yaml:7:27: require.signatures lacks the key \"of\"");
  EXPECT_EQ(ErrorOf(head + "    require: {signatures: {of: [a], annotations: {k: v, k: w}}}\n"),
            "/p/a.yaml:7:57: annotation \"k\" is given twice");
}

TEST(PolicyParser, SettingsWithoutEffectAreErrors) {
  EXPECT_EQ(ErrorOf(RuleWith("    action: deny\n    exec: {}\n")),
            "/p/a.yaml:7:11: exec has no effect with action: deny; leave one of them out");
  EXPECT_EQ(ErrorOf(RuleWith("    exec: {default: allow, allow: []}\n")),
            "/p/a.yaml:6:35: exec.allow has no effect with default: allow; leave one of them out");
}

TEST(PolicyParser, ExecEntriesNameExactlyOneCommand) {
  EXPECT_THAT(ErrorOf(RuleWith("    exec: {allow: [{terminal: true}]}\n")), HasSubstr("exactly one of"));
  EXPECT_THAT(ErrorOf(RuleWith("    exec: {allow: [{argv: [a], argvPrefix: [b]}]}\n")), HasSubstr("exactly one of"));
  EXPECT_THAT(ErrorOf(RuleWith("    exec: {allow: [{argvPrefix: []}]}\n")), HasSubstr("an empty sequence"));
  EXPECT_EQ(ErrorOf(RuleWith("    exec: {allow: [{argv: [echo, a, a]}]}\n")), "no error") << "arguments may repeat";
}

TEST(PolicyParser, PathsMustBePlain) {
  for (std::string_view bad : {"proc/x", "/a/../b", "/a//b", "/a/", "/a/.", "/.."}) {
    EXPECT_THAT(ErrorOf(RuleWith("    profile: {maskedPaths: [" + std::string(bad) + "]}\n")),
                StartsWith("/p/a.yaml:6:29: expected an absolute path"))
        << bad;
  }
}

TEST(PolicyParser, BadPatternsAreErrorsWhereTheyStand) {
  EXPECT_THAT(ErrorOf(WithHead("rules:\n  - name: x\n    match: {images: [\"r.corp/ok\", \"UPPER/x y\"]}\n")),
              StartsWith("/p/a.yaml:5:35: "));
  EXPECT_THAT(ErrorOf(WithHead("rules:\n  - name: x\n    match: {images: []}\n")), StartsWith("/p/a.yaml:5:21: an empty"));
}

TEST(PolicyParser, NamesAreUniqueInTheWholeSet) {
  const PolicyFile files[] = {
      {"/p/a.yaml", WithHead("rules:\n  - name: x\n    match: {images: [\"a.corp/**\"]}\n")},
      {"/p/b.yaml", WithHead("rules:\n  - name: x\n    match: {images: [\"b.corp/**\"]}\n")}};
  auto set = ParsePolicy(files, ReadTestKey);
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().message(), "/p/b.yaml:4:5: rule x is defined twice");
}

TEST(PolicyParser, DefaultsAreGivenOnceAndAuthoritiesAreShared) {
  const std::string rule = "rules:\n  - name: x\n    match: {images: [\"a.corp/**\"]}\n    require: {signatures: {of: [k]}}\n";
  PolicyFile files[] = {{"/p/a.yaml", WithHead(rule)},
                        {"/p/b.yaml", WithHead("authorities: {k: {cosignKey: {files: [both.pub]}}}\n")}};
  auto set = ParsePolicy(files, ReadTestKey);
  ASSERT_TRUE(set) << set.error().message();
  EXPECT_EQ(set->rules().at(0).signatures->authorities.at(0).key_pems.size(), 2U);

  files[0].text = WithHead("defaults: {mode: audit}\n");
  files[1].text = WithHead("defaults: {mode: enforce}\n");
  set = ParsePolicy(files, ReadTestKey);
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().message(), "/p/b.yaml:3:11: defaults are given twice; the other place is /p/a.yaml:3");
}

TEST(PolicyParser, TheExampleInTheDocumentationIsAPolicy) {
  auto page = base::ReadFile(BULWARK_SOURCE_DIR "/docs/formats/policy.md", size_t{1} << 20);
  ASSERT_TRUE(page) << page.error().message();
  const size_t begin = page->find("```yaml\n") + 8;
  const PolicyFile file = {"policy.md", page->substr(begin, page->find("```\n", begin) - begin)};
  auto set = ParsePolicy({&file, 1}, [](const std::string&) -> base::Result<std::string> { return std::string(kKeyA); });
  ASSERT_TRUE(set) << set.error().message();
  EXPECT_EQ(set->rules().size(), 4U);
}

// Every key that any parser knows is written in backquotes in the manual page, whole or as the end of a longer name.
TEST(PolicyParser, TheManualPageHasEveryKey) {
  auto page = base::ReadFile(BULWARK_SOURCE_DIR "/docs/man/bulwark-policy.5.md", size_t{1} << 20);
  ASSERT_TRUE(page) << page.error().message();
  size_t keys = 0;
  for (const char* source : {"policy_parser.cc", "rule_parser.cc", "requirement_parser.cc"}) {
    auto code = base::ReadFile(std::string(BULWARK_SOURCE_DIR "/plugin/policy/") + source, size_t{1} << 20);
    ASSERT_TRUE(code) << code.error().message();
    for (size_t at = code->find("Known[] = {"); at != std::string::npos; at = code->find("Known[] = {", at + 1)) {
      const std::string list = code->substr(at, code->find('}', at) - at);
      for (size_t quote = list.find('"'); quote != std::string::npos; quote = list.find('"', quote + 1)) {
        const size_t end = list.find('"', quote + 1);
        const std::string key = list.substr(quote + 1, end - quote - 1);
        quote = end;
        keys++;
        EXPECT_TRUE(page->find("`" + key) != std::string::npos || page->find("." + key) != std::string::npos) << key;
      }
    }
  }
  EXPECT_GT(keys, 30U);
}

TEST(PolicyParser, AFileIsAtMostOneMebibyte) {
  EXPECT_THAT(ErrorOf(std::string(kPolicyFileBytesMax + 1, '#')), HasSubstr("larger than"));
}

TEST(PolicyParser, TheDigestChangesWithEveryFileAndKeyAndNotWithTheDirectory) {
  const std::string text = WithHead("authorities: {k: {cosignKey: {files: [a.pub]}}}\n");
  const auto digest = [&](std::string path, std::string body, const char* key) {
    const PolicyFile file = {std::move(path), std::move(body)};
    return ParsePolicy({&file, 1}, [&](const std::string&) -> base::Result<std::string> { return std::string(key); })
        ->digest();
  };
  const std::string base = digest("/p/a.yaml", text, kKeyA);
  EXPECT_THAT(base, StartsWith("sha256:"));
  EXPECT_EQ(base, digest("/elsewhere/a.yaml", text, kKeyA));
  EXPECT_NE(base, digest("/p/a.yaml", text + "\n", kKeyA));
  EXPECT_NE(base, digest("/p/a.yaml", text, kKeyB));
  EXPECT_NE(base, digest("/p/b.yaml", text, kKeyA));
}

}  // namespace
}  // namespace bulwark::policy
