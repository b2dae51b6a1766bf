#include "plugin/trust/scan_evaluator.h"

#include <algorithm>
#include <array>
#include <utility>

#include "plugin/trust/scan_report.h"

namespace bulwark::trust {
namespace {

namespace reason = policy::reason;

constexpr size_t kFindingsNamed = 5;
constexpr int64_t kHourNs = int64_t{3600} * 1'000'000'000;

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

// Whether the candidate is a report about this image; if not, `rejection` says why.
bool Accept(const ScanRequirement& requirement, const oci::ImageIdentity& image,
                                  const ScanCandidate& candidate, Rejection& rejection) {
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
    return reject(3, reason::kScanDigestMismatch,
                  fmt::format("the report is about image {}, not {}", report.config_digest, image.config_digest));
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

// The findings that refuse, the worst first, and one sentence about them.
std::string DescribeBlocking(std::vector<const Finding*> blocking) {
  std::stable_sort(blocking.begin(), blocking.end(),
                   [](const Finding* a, const Finding* b) { return a->severity > b->severity; });
  std::array<size_t, 7> counts{};
  for (const Finding* finding : blocking) ++counts[static_cast<size_t>(finding->severity)];
  std::string text;
  for (size_t i = counts.size(); i-- > 0;) {
    if (counts[i] == 0) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", counts[i], SeverityName(static_cast<Severity>(i)));
  }
  text += ": ";
  for (size_t i = 0; i < std::min(blocking.size(), kFindingsNamed); ++i) {
    const Finding& finding = *blocking[i];
    text += fmt::format("{}{} in {} {}{}", i == 0 ? "" : ", ", finding.id, finding.package, finding.installed_version,
                        finding.fixed_version.empty() ? " (no fix)" : " (fixed in " + finding.fixed_version + ")");
  }
  if (blocking.size() > kFindingsNamed) text += fmt::format(" and {} more", blocking.size() - kFindingsNamed);
  return text;
}

policy::ReasonStep JudgeReport(const ScanRequirement& requirement, const ScanCandidate& candidate,
                               int64_t now_wall_ns) {
  const ScanReport& report = *candidate.report;
  policy::ReasonStep step{"scan", false, "", "", {candidate.source, candidate.digest}};
  const int64_t age_ns = now_wall_ns - report.scanned_at_ns;
  if (age_ns < -kClockSkewNs) {
    step.code = reason::kScanFromFuture;
    step.detail = fmt::format("the report's time is {} hours ahead of this node's clock", -age_ns / kHourNs);
    return step;
  }
  if (requirement.max_age_ns > 0 && age_ns > requirement.max_age_ns) {
    step.code = reason::kScanStale;
    step.detail = fmt::format("the report is {} hours old; the rule takes {} hours", age_ns / kHourNs,
                              requirement.max_age_ns / kHourNs);
    return step;
  }
  if (requirement.refuse_end_of_life && report.os_is_end_of_life) {
    step.code = reason::kScanEndOfLife;
    step.detail = fmt::format("{} {} is end of life: no findings means no data, not no vulnerabilities",
                              report.os_family, report.os_name);
    return step;
  }
  std::vector<const Finding*> blocking;
  for (const Finding& finding : report.findings) {
    if (Blocks(requirement, finding)) blocking.push_back(&finding);
  }
  step.satisfied = blocking.empty();
  step.code = blocking.empty() ? reason::kOk : reason::kScanFindings;
  step.detail = blocking.empty() ? fmt::format("{} findings, none at or above {}{}", report.findings.size(),
                                               SeverityName(requirement.block_severity),
                                               requirement.fixable_only ? " with a fix" : "")
                                 : DescribeBlocking(std::move(blocking));
  return step;
}

}  // namespace

policy::ReasonStep EvaluateScan(const ScanRequirement& requirement, const oci::ImageIdentity& image,
                                const ScanEvidence& evidence, int64_t now_wall_ns) {
  Rejection rejection{0, reason::kScanMissing, "no scan report for this image"};
  const ScanCandidate* newest = nullptr;
  for (const ScanCandidate& candidate : evidence.candidates) {
    if (!Accept(requirement, image, candidate, rejection)) continue;
    if (newest == nullptr || candidate.report->scanned_at_ns > newest->report->scanned_at_ns) newest = &candidate;
  }
  if (newest != nullptr) return JudgeReport(requirement, *newest, now_wall_ns);
  policy::ReasonStep step{"scan", false, std::string(rejection.code), rejection.detail, {}};
  for (const ScanCandidate& candidate : evidence.candidates) step.evidence.push_back(candidate.source);
  if (step.evidence.empty()) step.evidence = evidence.searched;
  return step;
}

}  // namespace bulwark::trust
