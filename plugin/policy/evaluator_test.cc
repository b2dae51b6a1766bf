#include "plugin/policy/evaluator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "lib/base/file_io.h"
#include "plugin/policy/policy_test_support.h"

namespace bulwark::policy {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

ExecRules Allowing(ExecAllow allow) {
  ExecRules rules;
  rules.allow.push_back(std::move(allow));
  return rules;
}

ExecAllow Exactly(std::vector<std::string> argv) {
  ExecAllow allow;
  allow.argv = std::move(argv);
  return allow;
}

ExecAttempt Command(std::vector<std::string> argv) {
  ExecAttempt attempt;
  attempt.argv = std::move(argv);
  return attempt;
}

bool IsAllowed(const ExecRules& rules, const ExecAttempt& attempt) { return MatchExec(rules, attempt).satisfied; }

TEST(MatchExec, WithoutRulesEverythingIsDenied) {
  const ReasonStep step = MatchExec(ExecRules(), Command({"/bin/true"}));
  EXPECT_FALSE(step.satisfied);
  EXPECT_EQ(step.code, reason::kExecNotAllowed);
  EXPECT_EQ(step.check, "exec");
}

TEST(MatchExec, AnExactCommandIsComparedElementByElement) {
  const ExecRules rules = Allowing(Exactly({"/bin/cat", "/etc/hosts"}));
  EXPECT_TRUE(IsAllowed(rules, Command({"/bin/cat", "/etc/hosts"})));
  EXPECT_FALSE(IsAllowed(rules, Command({"/bin/cat"})));
  EXPECT_FALSE(IsAllowed(rules, Command({"/bin/cat", "/etc/hosts", "/etc/shadow"})));
  EXPECT_FALSE(IsAllowed(rules, Command({"/bin/cat /etc/hosts"})));
  EXPECT_FALSE(IsAllowed(rules, Command({"cat", "/etc/hosts"})));
  EXPECT_FALSE(IsAllowed(rules, Command({"/bin/../bin/cat", "/etc/hosts"})));
  EXPECT_FALSE(IsAllowed(rules, Command({"/bin/cat", "/etc/hosts", ""})));
  EXPECT_FALSE(IsAllowed(rules, Command({})));
}

TEST(MatchExec, APrefixAllowsWhatFollows) {
  ExecAllow allow = Exactly({"/bin/ls", "-l"});
  allow.is_prefix = true;
  EXPECT_TRUE(IsAllowed(Allowing(allow), Command({"/bin/ls", "-l"})));
  EXPECT_TRUE(IsAllowed(Allowing(allow), Command({"/bin/ls", "-l", "/tmp"})));
  EXPECT_FALSE(IsAllowed(Allowing(allow), Command({"/bin/ls"})));
  EXPECT_FALSE(IsAllowed(Allowing(allow), Command({"/bin/ls", "-la"})));
  EXPECT_FALSE(IsAllowed(Allowing(allow), Command({"/bin/lsx", "-l"})));
}

TEST(MatchExec, AnEmptyCommandInARuleAllowsNothing) {
  ExecAllow allow;
  allow.is_prefix = true;
  EXPECT_FALSE(IsAllowed(Allowing(allow), Command({"/bin/sh"})));
}

TEST(MatchExec, TerminalAndStandardInputAreSignsOfAPerson) {
  ExecAttempt attempt = Command({"/bin/true"});
  attempt.terminal = true;
  EXPECT_FALSE(IsAllowed(Allowing(Exactly({"/bin/true"})), attempt));
  EXPECT_THAT(MatchExec(Allowing(Exactly({"/bin/true"})), attempt).detail, HasSubstr("only without a terminal"));
  ExecAllow allow = Exactly({"/bin/true"});
  allow.terminal = true;
  EXPECT_TRUE(IsAllowed(Allowing(allow), attempt));
  attempt.standard_input = true;
  EXPECT_FALSE(IsAllowed(Allowing(allow), attempt));
  allow.standard_input = true;
  EXPECT_TRUE(IsAllowed(Allowing(allow), attempt));
  EXPECT_TRUE(IsAllowed(Allowing(allow), Command({"/bin/true"}))) << "allowed with a terminal is also allowed without";
}

TEST(MatchExec, UsersRestrictAnEntry) {
  ExecAllow allow = Exactly({"/bin/true"});
  allow.users = {1000, 33};
  ExecAttempt attempt = Command({"/bin/true"});
  EXPECT_FALSE(IsAllowed(Allowing(allow), attempt)) << "root is nobody special";
  attempt.uid = 33;
  EXPECT_TRUE(IsAllowed(Allowing(allow), attempt));
}

TEST(MatchExec, ALaterEntryMayAllowWhatAnEarlierDoesNot) {
  ExecRules rules = Allowing(Exactly({"/bin/true"}));
  rules.allow[0].users = {5};
  rules.allow.push_back(Exactly({"/bin/true"}));
  EXPECT_TRUE(IsAllowed(rules, Command({"/bin/true"})));
}

TEST(MatchExec, DetailsDoNotRepeatArguments) {
  EXPECT_THAT(MatchExec(ExecRules(), Command({"/bin/mysql", "--password=hunter2"})).detail, Not(HasSubstr("hunter2")));
}

TEST(MatchExec, DefaultAllowAllowsAnyCommand) {
  ExecRules rules;
  rules.default_action = Action::kAllow;
  EXPECT_TRUE(IsAllowed(rules, Command({"/bin/sh"})));
  EXPECT_FALSE(IsAllowed(rules, Command({})));
}

class Deciding : public ::testing::Test {
 protected:
  const PolicySet set_ = MustParse(WithHead(
      "rules:\n  - {name: strict, match: {images: [a.corp/x]}}\n  - {name: watch, mode: audit, match: {images: [a.corp/y]}}\n"
      "  - {name: never, action: deny, match: {images: [a.corp/z]}}\n"));
  const Rule* const strict_ = &set_.rules().at(0);
  const Rule* const watch_ = &set_.rules().at(1);
  const Rule* const never_ = &set_.rules().at(2);

  static ReasonStep Step(std::string_view code, std::vector<std::string> evidence = {}) {
    ReasonStep step;
    step.check = "signature";
    step.satisfied = code == reason::kOk;
    step.code = code;
    step.detail = "looked in two places";
    step.evidence = std::move(evidence);
    return step;
  }

  static oci::ImageIdentity Image() {
    oci::ImageIdentity image;
    image.reference = "a.corp/x:1";
    image.manifest_digest = "sha256:" + std::string(64, 'a');
    return image;
  }
};

TEST_F(Deciding, MatchStepFollowsRuleAndDefaults) {
  EXPECT_TRUE(MatchStep(set_, strict_).satisfied);
  EXPECT_EQ(MatchStep(set_, never_).code, reason::kPolicyDenied);
  EXPECT_EQ(MatchStep(set_, nullptr).code, reason::kPolicyNoRule);
}

TEST_F(Deciding, WithoutAnyGoodPolicyTheCodeSaysThatAndNotThatARuleIsMissing) {
  const ReasonStep step = MatchStep(PolicySet(), nullptr);
  EXPECT_FALSE(step.satisfied);
  EXPECT_EQ(step.code, reason::kPolicyUnavailable);
  EXPECT_EQ(Combine(PolicySet(), nullptr, {step}).reason_code, reason::kPolicyUnavailable);
  const PolicySet open = MustParse(WithHead("defaults: {action: allow}\n"));
  EXPECT_TRUE(MatchStep(open, nullptr).satisfied);
}

TEST_F(Deciding, AllStepsMustBeSatisfied) {
  const Decision decision = Combine(set_, strict_, {Step(reason::kOk), Step(reason::kOk)});
  EXPECT_TRUE(decision.allowed);
  EXPECT_FALSE(decision.would_deny);
  EXPECT_EQ(decision.reason_code, reason::kOk);
  EXPECT_EQ(decision.rule, "strict");
  EXPECT_EQ(decision.rule_file, "/p/a.yaml");
  EXPECT_EQ(decision.policy_digest, set_.digest());
}

TEST_F(Deciding, TheFirstStepThatFailsGivesTheReason) {
  const Decision decision =
      Combine(set_, strict_, {Step(reason::kOk), Step(reason::kScanStale), Step(reason::kSignatureMissing)});
  EXPECT_FALSE(decision.allowed);
  EXPECT_EQ(decision.reason_code, reason::kScanStale);
}

TEST_F(Deciding, ModeAuditLetsItThroughAndSaysSo) {
  const Decision decision = Combine(set_, watch_, {Step(reason::kSignatureMissing)});
  EXPECT_TRUE(decision.allowed);
  EXPECT_TRUE(decision.would_deny);
  EXPECT_EQ(decision.reason_code, reason::kSignatureMissing);
  EXPECT_EQ(decision.mode, Mode::kAudit);
}

TEST_F(Deciding, WithoutAnyStepNothingIsAllowed) {
  const Decision decision = Combine(set_, strict_, {});
  EXPECT_FALSE(decision.allowed);
  EXPECT_EQ(decision.reason_code, reason::kEngineError);
}

TEST_F(Deciding, TheMessageHasImageRuleEvidenceReasonAndNextStep) {
  Decision decision = Combine(set_, strict_, {Step(reason::kSignatureMissing, {"/var/lib/bulwark/evidence"})});
  Summarise(decision, Image(), "start");
  EXPECT_THAT(decision.message, StartsWith("start of image a.corp/x:1 (sha256:aaaa"));
  EXPECT_THAT(decision.message, HasSubstr("denied: signature.missing (looked in two places)"));
  EXPECT_THAT(decision.message, HasSubstr("rule strict (/p/a.yaml)"));
  EXPECT_THAT(decision.message, HasSubstr("evidence: /var/lib/bulwark/evidence"));
  EXPECT_THAT(decision.message, HasSubstr("next: sign this digest"));
}

TEST_F(Deciding, TheMessageIsBoundedAndPrintableAndKeepsTheNextStep) {
  ReasonStep step = Step(reason::kScanFindings, std::vector<std::string>(50, std::string(500, 'e')));
  step.detail = std::string(5000, 'd') + "\n\x1b[2K\xff";
  Decision decision = Combine(set_, strict_, {step});
  oci::ImageIdentity image = Image();
  image.reference = "a\n\x1b" + std::string(3000, 'r');
  Summarise(decision, image, "start");
  EXPECT_LE(decision.message.size(), kMessageBytesMax);
  for (char c : decision.message) EXPECT_TRUE(c >= 0x20 && c <= 0x7E) << static_cast<int>(c);
  EXPECT_THAT(decision.message, HasSubstr("next: fix the findings"));
}

TEST_F(Deciding, AnImageWithoutNameAndARuleThatIsMissingAreSaidAsSuch) {
  Decision decision = Combine(set_, nullptr, {MatchStep(set_, nullptr)});
  Summarise(decision, {}, "start");
  EXPECT_THAT(decision.message, HasSubstr("an unresolved image"));
  EXPECT_THAT(decision.message, HasSubstr("no policy rule matches"));
  EXPECT_THAT(decision.message, HasSubstr("next: add a rule"));
}

TEST_F(Deciding, AnImageThatWasNotIdentifiedWasNotMatchedEither) {
  ReasonStep identity = Step(reason::kIdentityUnresolved);
  identity.check = "identity";
  Decision decision = Combine(set_, nullptr, {identity});
  Summarise(decision, {}, "start");
  EXPECT_THAT(decision.message, HasSubstr("no policy rule was looked for"));
  EXPECT_THAT(decision.message, Not(HasSubstr("no policy rule matches")));
}

// Reads the codes from the header, so that a new one cannot be forgotten.
TEST(NextStep, EveryReasonCodeHasOne) {
  auto header = base::ReadFile(BULWARK_SOURCE_DIR "/plugin/policy/decision.h", size_t{1} << 20);
  ASSERT_TRUE(header) << header.error().message();
  const std::string general(NextStep("no.such-code"));
  const std::string marker = "inline constexpr std::string_view k";
  size_t codes = 0;
  for (size_t at = header->find(marker); at != std::string::npos; at = header->find(marker, at + 1)) {
    const size_t begin = header->find('"', at) + 1;
    const std::string code = header->substr(begin, header->find('"', begin) - begin);
    codes++;
    if (code == reason::kOk) {
      EXPECT_TRUE(NextStep(code).empty());
    } else {
      EXPECT_NE(NextStep(code), general) << code;
    }
  }
  EXPECT_GT(codes, 30U);
}

}  // namespace
}  // namespace bulwark::policy
