#include <gtest/gtest.h>

#include "plugin/trust/scan_report.h"
#include "plugin/trust/scan_test_support.h"

namespace bulwark::trust {
namespace {

TEST(TrivyReportTest, ReportIsRead) {
  TrivyReport text;
  text.vulnerabilities = {TrivyFinding("CVE-2024-1", "CRITICAL", "1.2"), TrivyFinding("CVE-2024-2", "LOW", "")};
  text.repo_digests = {"registry.corp/prod/app@" + TestDigest('d')};
  const auto report = ParseTrivyReport(text.Json());
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_EQ(report->tool, "trivy");
  EXPECT_EQ(report->config_digest, TestDigest('c'));
  EXPECT_EQ(report->repo_digests, std::vector<std::string>{TestDigest('d')});
  EXPECT_EQ(report->scanned_at_ns, kScannedAtNs);
  ASSERT_EQ(report->findings.size(), 2u);
  EXPECT_EQ(report->findings[0].id, "CVE-2024-1");
  EXPECT_EQ(report->findings[0].severity, Severity::kCritical);
  EXPECT_EQ(report->findings[0].fixed_version, "1.2");
  EXPECT_EQ(report->findings[1].fixed_version, "");
  EXPECT_FALSE(report->os_is_end_of_life);
}

TEST(TrivyReportTest, ReportWithoutResultsHasNoFindings) {
  TrivyReport text;
  text.results = "null";
  const auto report = ParseTrivyReport(text.Json());
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_TRUE(report->findings.empty());
}

void ExpectRefused(const TrivyReport& text) { EXPECT_FALSE(ParseTrivyReport(text.Json())) << text.Json(); }

TEST(TrivyReportTest, WhatIsNoImageReportOfTheKnownSchemaIsRefused) {
  TrivyReport text;
  text.schema = "1";
  ExpectRefused(text);
  text.schema = "\"2\"";
  ExpectRefused(text);
  text = {};
  text.artifact_type = "filesystem";
  ExpectRefused(text);
  for (const std::string_view garbage : {"", "[]", "null", "{}", R"({"SchemaVersion":2})", "{\"bomFormat\":\"CycloneDX\"}"}) {
    EXPECT_FALSE(ParseTrivyReport(garbage)) << garbage;
  }
  const std::string whole = TrivyReport().Json();
  EXPECT_FALSE(ParseTrivyReport(whole.substr(0, whole.size() / 2))) << "cut off";
  EXPECT_FALSE(ParseTrivyReport(whole + whole));
}

TEST(TrivyReportTest, ReportThatNamesNoImageOrNoTimeIsRefused) {
  TrivyReport text;
  text.image_id = "";
  ExpectRefused(text);
  text.image_id = "sha256:" + std::string(64, 'C');
  ExpectRefused(text);
  text = {};
  text.created_at = "";
  ExpectRefused(text);
  text.created_at = "yesterday";
  ExpectRefused(text);
  text.created_at = "0001-01-01T00:00:00Z";
  ExpectRefused(text);
  text = {};
  text.repo_digests = {"registry.corp/prod/app@sha256:short"};
  ExpectRefused(text);
}

TEST(TrivyReportTest, DuplicateKeysAreRefused) {
  std::string json = TrivyReport().Json();
  json.insert(1, R"("CreatedAt":"2030-01-01T00:00:00Z",)");
  EXPECT_FALSE(ParseTrivyReport(json));
  json = TrivyReport().Json();
  json.insert(1, R"("createdat":"2030-01-01T00:00:00Z",)");
  EXPECT_FALSE(ParseTrivyReport(json));
}

TEST(TrivyReportTest, SeverityThatIsNoneOfTheKnownIsRefused) {
  TrivyReport text;
  text.vulnerabilities = {TrivyFinding("CVE-1", "SEVERE", "")};
  ExpectRefused(text);
}

TEST(TrivyReportTest, MoreFindingsThanTheLimitAreRefused) {
  TrivyReport text;
  text.vulnerabilities.assign(kFindingsMax + 1, R"({"VulnerabilityID":"C"})");
  const auto report = ParseTrivyReport(text.Json());
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code(), base::Code::kResourceExhausted);
}

TEST(TrivyReportTest, DeepNestingIsRefused) {
  EXPECT_FALSE(ParseTrivyReport(std::string(1'000'000, '[')));
  std::string nested;
  for (int i = 0; i < 100'000; ++i) nested += "{\"a\":";
  EXPECT_FALSE(ParseTrivyReport(nested));
}

TEST(Rfc3339Test, TimesAreReadToTheNanosecondWithOffset) {
  EXPECT_EQ(ParseRfc3339("1970-01-01T00:00:00Z").value_or(-1), 0);
  EXPECT_EQ(ParseRfc3339("2024-02-29T12:00:00Z").value_or(-1), 1'709'208'000'000'000'000);
  EXPECT_EQ(ParseRfc3339("2024-02-29T14:00:00.5+02:00").value_or(-1), 1'709'208'000'500'000'000);
  EXPECT_EQ(ParseRfc3339("2024-02-29T11:59:59.999999999-00:00").value_or(-1), 1'709'207'999'999'999'999);
}

TEST(Rfc3339Test, EverythingElseIsRefused) {
  for (const std::string_view text :
       {"", "2024-02-29", "2024-02-29T12:00:00", "2024-02-29 12:00:00Z", "2023-02-29T12:00:00Z", "2024-13-01T00:00:00Z",
        "2024-00-01T00:00:00Z", "2024-01-00T00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01T00:60:00Z",
        "2024-01-01T00:00:00.Z", "2024-01-01T00:00:00.1234567890Z", "2024-01-01T00:00:00+1:00", "2024-01-01T00:00:00+24:00",
        "2024-01-01T00:00:00Zx", " 2024-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z", "+024-01-01T00:00:00Z",
        "2024-1-01T00:00:00Z", "20240101T000000Z"}) {
    EXPECT_FALSE(ParseRfc3339(text)) << text;
  }
}

TEST(SeverityTest, UnknownDoesNotSortBelowLowByAccidentButHasItsOwnName) {
  EXPECT_EQ(ParseSeverity("UNKNOWN").value_or(Severity::kNone), Severity::kUnknown);
  EXPECT_EQ(ParseSeverity("Critical").value_or(Severity::kNone), Severity::kCritical);
  EXPECT_FALSE(ParseSeverity("none"));
  EXPECT_FALSE(ParseSeverity(""));
}

}  // namespace
}  // namespace bulwark::trust
