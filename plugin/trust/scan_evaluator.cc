#include "plugin/trust/scan_evaluator.h"

#include <algorithm>
#include <array>
#include <utility>

#include "plugin/trust/scan_report.h"

namespace bulwark::trust {
namespace {

namespace reason = policy::reason;

constexpr size_t kFindingsNamed = 5;
constexpr size_t kQuotedMax = 80;  // bytes of a text from the report that go into a detail
constexpr int64_t kMinuteNs = int64_t{60} * 1'000'000'000;

struct Rejection {
  int rank = 0;  // how near it came
  std::string_view code = reason::kScanMissing;
  std::string detail;
};

bool IsBoundTo(const ScanReport& report, const oci::ImageIdentity& image) {
  if (report.config_digest != image.config_digest) return false;
  if (report.repo_digests.empty()) return true;
  const auto names = [&](const std::string& digest) {
    return digest == image.manifest_digest || (!image.index_digest.empty() && digest == image.index_digest);
  };
  return std::any_of(report.repo_digests.begin(), report.repo_digests.end(), names);
}

std::string DescribeMismatch(const ScanReport& report, const oci::ImageIdentity& image) {
  if (report.config_digest != image.config_digest) {
    return fmt::format("the report is about image {}, not {}", report.config_digest, image.config_digest);
  }
  return fmt::format("the report was made of {}, which is neither this manifest nor its index",
                     report.repo_digests.front());
}

// Hours where they tell enough, else minutes.
std::string DescribeSpan(int64_t span_ns) {
  const int64_t minutes = span_ns / kMinuteNs;
  return minutes >= 120 ? fmt::format("{} hours", minutes / 60) : fmt::format("{} minutes", minutes);
}

std::string Quoted(const std::string& text) { return text.substr(0, kQuotedMax); }

// Whether the candidate is a report about this image; if not, `rejection` says why.
bool Accept(const ScanRequirement& requirement, const oci::ImageIdentity& image, const ScanCandidate& candidate,
            Rejection& rejection) {
  const auto reject = [&](int rank, std::string_view code, std::string detail) {
    if (rank >= rejection.rank) rejection = {rank, code, candidate.source + ": " + std::move(detail)};
    return false;
  };
  if (!candidate.is_trusted_source) {
    return reject(1, reason::kScanUntrustedSource,
                  "others than root can write the file or a directory above it, so its content proves nothing");
  }
  if (!candidate.report) return reject(2, reason::kScanInvalid, candidate.problem);
  const ScanReport& report = *candidate.report;
  if (!IsBoundTo(report, image)) {
    return reject(3, reason::kScanDigestMismatch, DescribeMismatch(report, image));
  }
  if (!requirement.scanners.empty() && std::find(requirement.scanners.begin(), requirement.scanners.end(),
                                                 report.tool) == requirement.scanners.end()) {
    return reject(4, reason::kScanUntrustedSource, fmt::format("the rule does not take reports of {}", report.tool));
  }
  return true;
}

bool Blocks(const ScanRequirement& requirement, const Finding& finding) {
  const Severity severity = finding.severity == Severity::kUnknown ? requirement.unknown_as : finding.severity;
  if (severity < requirement.block_severity) return false;
  if (requirement.fixable_only && finding.fixed_version.empty()) return false;
  return std::find(requirement.accepted_findings.begin(), requirement.accepted_findings.end(), finding.id) ==
         requirement.accepted_findings.end();
}

// "1 critical, 12 high"
std::string CountBySeverity(const std::vector<const Finding*>& findings) {
  std::array<size_t, static_cast<size_t>(Severity::kCritical) + 1> counts{};
  for (const Finding* finding : findings) ++counts[static_cast<size_t>(finding->severity)];
  std::string text;
  for (size_t i = counts.size(); i-- > 0;) {
    if (counts[i] == 0) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", counts[i], SeverityName(static_cast<Severity>(i)));
  }
  return text;
}

std::string NameWorst(std::vector<const Finding*> findings) {
  std::stable_sort(findings.begin(), findings.end(),
                   [](const Finding* a, const Finding* b) { return a->severity > b->severity; });
  std::string text;
  for (size_t i = 0; i < std::min(findings.size(), kFindingsNamed); ++i) {
    const Finding& finding = *findings[i];
    const std::string fix =
        finding.fixed_version.empty() ? "no fix" : fmt::format("fixed in {}", Quoted(finding.fixed_version));
    text += fmt::format("{}{} in {} {} ({})", i == 0 ? "" : ", ", Quoted(finding.id), Quoted(finding.package),
                        Quoted(finding.installed_version), fix);
  }
  if (findings.size() > kFindingsNamed) text += fmt::format(" and {} more", findings.size() - kFindingsNamed);
  return text;
}

void JudgeFindings(const ScanRequirement& requirement, const ScanReport& report, policy::ReasonStep& step) {
  std::vector<const Finding*> blocking;
  std::vector<const Finding*> passing;
  for (const Finding& finding : report.findings) {
    (Blocks(requirement, finding) ? blocking : passing).push_back(&finding);
  }
  step.satisfied = blocking.empty();
  if (!blocking.empty()) {
    step.code = reason::kScanFindings;
    step.detail = fmt::format("{}: {}", CountBySeverity(blocking), NameWorst(blocking));
    return;
  }
  step.code = reason::kOk;
  step.detail = passing.empty() ? "no findings" : fmt::format("{}: none refuses", CountBySeverity(passing));
}

policy::ReasonStep JudgeReport(const ScanRequirement& requirement, const ScanCandidate& candidate,
                               int64_t now_wall_ns) {
  const ScanReport& report = *candidate.report;
  policy::ReasonStep step{"scan", false, "", "", {candidate.source, candidate.digest}};
  const int64_t age_ns = now_wall_ns - report.scanned_at_ns;
  if (age_ns < -kClockSkewNs) {
    step.code = reason::kScanFromFuture;
    step.detail = fmt::format("the report's time is {} ahead of this node's clock", DescribeSpan(-age_ns));
    return step;
  }
  if (requirement.max_age_ns > 0 && age_ns > requirement.max_age_ns) {
    step.code = reason::kScanStale;
    step.detail = fmt::format("the report is {} old; the rule takes {}", DescribeSpan(age_ns),
                              DescribeSpan(requirement.max_age_ns));
    return step;
  }
  if (requirement.refuse_end_of_life && report.os_is_end_of_life) {
    step.code = reason::kScanEndOfLife;
    step.detail = fmt::format("{} {} is end of life: no findings means no data, not no vulnerabilities",
                              Quoted(report.os_family), Quoted(report.os_name));
    return step;
  }
  JudgeFindings(requirement, report, step);
  return step;
}

}  // namespace

policy::ReasonStep EvaluateScan(const ScanRequirement& requirement, const oci::ImageIdentity& image,
                                const ScanEvidence& evidence, int64_t now_wall_ns) {
  Rejection rejection{0, reason::kScanMissing, "no scan report for this image"};
  std::vector<const ScanCandidate*> newest;  // several only if they state the very same time
  for (const ScanCandidate& candidate : evidence.candidates) {
    if (!Accept(requirement, image, candidate, rejection)) continue;
    if (!newest.empty() && candidate.report->scanned_at_ns < newest.front()->report->scanned_at_ns) continue;
    if (!newest.empty() && candidate.report->scanned_at_ns > newest.front()->report->scanned_at_ns) newest.clear();
    newest.push_back(&candidate);
  }
  policy::ReasonStep step{"scan", false, std::string(rejection.code), rejection.detail, {}};
  if (newest.empty()) {
    for (const ScanCandidate& candidate : evidence.candidates) step.evidence.push_back(candidate.source);
    if (step.evidence.empty()) step.evidence = evidence.searched;
    return step;
  }
  for (const ScanCandidate* candidate : newest) {
    step = JudgeReport(requirement, *candidate, now_wall_ns);
    if (!step.satisfied) break;
  }
  return step;
}

}  // namespace bulwark::trust
