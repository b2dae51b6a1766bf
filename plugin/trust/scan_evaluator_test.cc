#include "plugin/trust/scan_evaluator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugin/trust/scan_test_support.h"

namespace bulwark::trust {
namespace {

using ::testing::HasSubstr;
namespace reason = policy::reason;

constexpr int64_t kHourNs = int64_t{3600} * 1'000'000'000;

class ScanEvaluatorTest : public ::testing::Test {
 protected:
  ScanEvaluatorTest() { requirement_.max_age_ns = 24 * kHourNs; }

  static ScanCandidate Candidate(const TrivyReport& text, std::string source = "/e/report.json") {
    const auto report = ParseTrivyReport(text.Json());
    EXPECT_TRUE(report);
    ScanCandidate candidate{std::move(source), TestDigest('8'), true, nullptr, ""};
    if (report) candidate.report = std::make_shared<const ScanReport>(*report);
    return candidate;
  }

  policy::ReasonStep Evaluate(std::vector<ScanCandidate> candidates) const {
    return EvaluateScan(requirement_, TestImage(), {std::move(candidates), {"/e"}}, now_ns_);
  }

  void Expect(std::string_view code, std::vector<ScanCandidate> candidates) const {
    const policy::ReasonStep step = Evaluate(std::move(candidates));
    EXPECT_EQ(step.code, code) << step.detail;
    EXPECT_EQ(step.satisfied, code == reason::kOk);
    EXPECT_EQ(step.check, "scan");
    EXPECT_FALSE(step.detail.empty());
    EXPECT_FALSE(step.evidence.empty());
  }

  ScanRequirement requirement_;
  TrivyReport text_;
  int64_t now_ns_ = kScannedAtNs + kHourNs;
};

TEST_F(ScanEvaluatorTest, FreshCleanReportOfThisImageIsAccepted) { Expect(reason::kOk, {Candidate(text_)}); }

TEST_F(ScanEvaluatorTest, ImageThatWasNeverScannedIsMissing) { Expect(reason::kScanMissing, {}); }

TEST_F(ScanEvaluatorTest, FileOthersCanWriteDoesNotCount) {
  ScanCandidate candidate = Candidate(text_);
  candidate.is_trusted_source = false;
  Expect(reason::kScanUntrustedSource, {candidate});
}

TEST_F(ScanEvaluatorTest, UnreadableReportIsInvalidNotMissing) {
  ScanCandidate broken{"/e/broken.json", TestDigest('8'), true, nullptr, "cut off"};
  Expect(reason::kScanInvalid, {broken});
  EXPECT_THAT(Evaluate({broken}).detail, HasSubstr("/e/broken.json: cut off"));
  Expect(reason::kOk, {broken, Candidate(text_)});
}

TEST_F(ScanEvaluatorTest, ReportOfAnotherImageIsAMismatch) {
  text_.image_id = TestDigest('e');
  Expect(reason::kScanDigestMismatch, {Candidate(text_)});
}

TEST_F(ScanEvaluatorTest, DigestsItWasPulledAsMustIncludeThisImage) {
  text_.repo_digests = {"registry.corp/prod/app@" + TestDigest('e')};
  Expect(reason::kScanDigestMismatch, {Candidate(text_)});
  EXPECT_THAT(Evaluate({Candidate(text_)}).detail, HasSubstr(TestDigest('e')));
  text_.repo_digests.push_back("registry.corp/prod/app@" + TestDigest('d'));
  Expect(reason::kOk, {Candidate(text_)});
  text_.repo_digests = {"registry.corp/prod/app@" + TestDigest('a')};
  Expect(reason::kOk, {Candidate(text_)});
}

TEST_F(ScanEvaluatorTest, RightDigestsDoNotMakeUpForTheWrongImageId) {
  text_.image_id = TestDigest('e');
  text_.repo_digests = {"registry.corp/prod/app@" + TestDigest('a')};
  Expect(reason::kScanDigestMismatch, {Candidate(text_)});
}

TEST_F(ScanEvaluatorTest, OldReportIsStale) {
  now_ns_ = kScannedAtNs + 24 * kHourNs;
  Expect(reason::kOk, {Candidate(text_)});
  ++now_ns_;
  Expect(reason::kScanStale, {Candidate(text_)});
  requirement_.max_age_ns = 0;
  Expect(reason::kOk, {Candidate(text_)});
}

TEST_F(ScanEvaluatorTest, ReportFromTheFutureIsRefusedBeyondTheSkewOfClocks) {
  now_ns_ = kScannedAtNs - kClockSkewNs;
  Expect(reason::kOk, {Candidate(text_)});
  --now_ns_;
  Expect(reason::kScanFromFuture, {Candidate(text_)});
}

TEST_F(ScanEvaluatorTest, TheNewestReportDecidesAlsoWhenItIsWorse) {
  TrivyReport worse = text_;
  worse.created_at = "2024-02-29T12:30:00Z";
  worse.vulnerabilities = {TrivyFinding("CVE-1", "CRITICAL", "2")};
  Expect(reason::kScanFindings, {Candidate(text_), Candidate(worse)});
  Expect(reason::kScanFindings, {Candidate(worse), Candidate(text_)});
  worse.created_at = "2024-02-29T11:30:00Z";
  Expect(reason::kOk, {Candidate(text_), Candidate(worse)});
}

TEST_F(ScanEvaluatorTest, NewerReportOfAnotherImageDoesNotDisplaceOurs) {
  TrivyReport other = text_;
  other.created_at = "2024-02-29T12:30:00Z";
  other.image_id = TestDigest('e');
  text_.vulnerabilities = {TrivyFinding("CVE-1", "CRITICAL", "2")};
  Expect(reason::kScanFindings, {Candidate(text_), Candidate(other)});
}

TEST_F(ScanEvaluatorTest, OfTwoReportsOfTheSameTimeTheOneThatRefusesDecides) {
  TrivyReport worse = text_;
  worse.vulnerabilities = {TrivyFinding("CVE-1", "CRITICAL", "2")};
  Expect(reason::kScanFindings, {Candidate(text_), Candidate(worse)});
  Expect(reason::kScanFindings, {Candidate(worse), Candidate(text_)});
}

TEST_F(ScanEvaluatorTest, EndOfLifeDistributionIsRefusedUnlessTheRuleTakesIt) {
  text_.end_of_life = "true";
  Expect(reason::kScanEndOfLife, {Candidate(text_)});
  requirement_.refuse_end_of_life = false;
  Expect(reason::kOk, {Candidate(text_)});
}

TEST_F(ScanEvaluatorTest, FindingsAtOrAboveTheThresholdRefuse) {
  const auto with = [&](std::string_view severity) {
    text_.vulnerabilities = {TrivyFinding("CVE-1", severity, "2")};
    return Candidate(text_);
  };
  Expect(reason::kOk, {with("MEDIUM")});
  Expect(reason::kScanFindings, {with("HIGH")});
  Expect(reason::kScanFindings, {with("CRITICAL")});
  requirement_.block_severity = Severity::kLow;
  Expect(reason::kScanFindings, {with("LOW")});
  requirement_.block_severity = Severity::kCritical;
  Expect(reason::kOk, {with("HIGH")});
}

TEST_F(ScanEvaluatorTest, UnknownSeverityIsTreatedAsTheRuleSays) {
  text_.vulnerabilities = {TrivyFinding("CVE-1", "UNKNOWN", "2")};
  Expect(reason::kScanFindings, {Candidate(text_)});
  requirement_.unknown_as = Severity::kNone;
  Expect(reason::kOk, {Candidate(text_)});
}

TEST_F(ScanEvaluatorTest, OnlyFixableFindingsRefuseIfTheRuleSaysSo) {
  requirement_.fixable_only = true;
  text_.vulnerabilities = {TrivyFinding("CVE-1", "CRITICAL", "")};
  Expect(reason::kOk, {Candidate(text_)});
  text_.vulnerabilities.push_back(TrivyFinding("CVE-2", "CRITICAL", "2"));
  Expect(reason::kScanFindings, {Candidate(text_)});
}

TEST_F(ScanEvaluatorTest, AcceptedFindingsDoNotRefuseAndOthersStillDo) {
  requirement_.accepted_findings = {"CVE-1"};
  text_.vulnerabilities = {TrivyFinding("CVE-1", "CRITICAL", "2")};
  Expect(reason::kOk, {Candidate(text_)});
  text_.vulnerabilities.push_back(TrivyFinding("CVE-12", "CRITICAL", "2"));
  Expect(reason::kScanFindings, {Candidate(text_)});
}

TEST_F(ScanEvaluatorTest, ScannerMustBeAllowed) {
  requirement_.scanners = {"grype"};
  Expect(reason::kScanUntrustedSource, {Candidate(text_)});
  requirement_.scanners.push_back("trivy");
  Expect(reason::kOk, {Candidate(text_)});
}

TEST_F(ScanEvaluatorTest, DetailCountsAndNamesTheWorstFive) {
  for (int i = 0; i < 6; ++i) text_.vulnerabilities.push_back(TrivyFinding(fmt::format("CVE-H{}", i), "HIGH", ""));
  text_.vulnerabilities.push_back(TrivyFinding("CVE-C", "CRITICAL", "2.0"));
  const std::string detail = Evaluate({Candidate(text_)}).detail;
  EXPECT_THAT(detail, HasSubstr("1 critical, 6 high: CVE-C in openssl 1.0 (fixed in 2.0), CVE-H0 in openssl 1.0 (no fix)"));
  EXPECT_THAT(detail, HasSubstr("and 2 more"));
}

TEST_F(ScanEvaluatorTest, TextsOfTheReportAreBoundedInTheDetail) {
  text_.vulnerabilities.assign(5, TrivyFinding(std::string(100'000, 'x'), "HIGH", std::string(100'000, 'y')));
  EXPECT_LT(Evaluate({Candidate(text_)}).detail.size(), 3000u);
}

}  // namespace
}  // namespace bulwark::trust
