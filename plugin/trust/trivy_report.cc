// Trivy's JSON: github.com/aquasecurity/trivy, pkg/types/report.go, and the fields it takes from trivy-db.
#include <utility>

#include "lib/oci/digest.h"
#include "lib/oci/json_document.h"
#include "plugin/trust/scan_report.h"

namespace bulwark::trust {
namespace {

using base::Code;
using base::Error;

constexpr int64_t kSchemaVersion = 2;

base::Status ReadMetadata(oci::JsonValue metadata, ScanReport& report) {
  ASSIGN_OR_RETURN(report.config_digest, metadata.GetString("ImageID"));
  RETURN_IF_ERROR(oci::CheckDigest(report.config_digest));
  ASSIGN_OR_RETURN(const auto repo_digests, metadata.GetStringArrayOr("RepoDigests"));
  for (const std::string& text : repo_digests) {
    const size_t at = text.rfind('@');
    std::string digest = at == std::string::npos ? text : text.substr(at + 1);
    RETURN_IF_ERROR(oci::CheckDigest(digest));
    report.repo_digests.push_back(std::move(digest));
  }
  ASSIGN_OR_RETURN(const auto repo_tags, metadata.GetStringArrayOr("RepoTags"));
  report.names.insert(report.names.end(), repo_tags.begin(), repo_tags.end());
  ASSIGN_OR_RETURN(const oci::JsonValue os, metadata.GetObjectOr("OS"));
  ASSIGN_OR_RETURN(report.os_family, os.GetStringOr("Family", ""));
  ASSIGN_OR_RETURN(report.os_name, os.GetStringOr("Name", ""));
  ASSIGN_OR_RETURN(report.os_is_end_of_life, os.GetBoolOr("EOSL", false));
  return base::OkStatus();
}

base::Result<Finding> ReadFinding(oci::JsonValue json) {
  Finding finding;
  ASSIGN_OR_RETURN(finding.id, json.GetString("VulnerabilityID"));
  ASSIGN_OR_RETURN(finding.package, json.GetStringOr("PkgName", ""));
  ASSIGN_OR_RETURN(finding.installed_version, json.GetStringOr("InstalledVersion", ""));
  ASSIGN_OR_RETURN(finding.fixed_version, json.GetStringOr("FixedVersion", ""));
  ASSIGN_OR_RETURN(const std::string severity, json.GetStringOr("Severity", "UNKNOWN"));
  ASSIGN_OR_RETURN(finding.severity, ParseSeverity(severity));
  return finding;
}

base::Status ReadResults(oci::JsonValue results, ScanReport& report) {
  for (size_t i = 0; i < results.size(); ++i) {
    ASSIGN_OR_RETURN(const oci::JsonValue vulnerabilities, results.at(i).GetArrayOr("Vulnerabilities"));
    if (report.findings.size() + vulnerabilities.size() > kFindingsMax) {
      return Error::Make(Code::kResourceExhausted, "report has more than {} findings", kFindingsMax);
    }
    for (size_t k = 0; k < vulnerabilities.size(); ++k) {
      ASSIGN_OR_RETURN(Finding finding, ReadFinding(vulnerabilities.at(k)));
      report.findings.push_back(std::move(finding));
    }
  }
  return base::OkStatus();
}

}  // namespace

base::Result<ScanReport> ParseTrivyReport(std::string_view bytes) {
  ASSIGN_OR_RETURN(const oci::JsonDocument document,
                   oci::JsonDocument::Parse(bytes, {.bytes = kReportBytesMax, .depth = 64, .nodes = 5'000'000}));
  const oci::JsonValue root = document.root();
  ASSIGN_OR_RETURN(const int64_t schema, root.GetInt64("SchemaVersion"));
  if (schema != kSchemaVersion) {
    return Error::Make(Code::kInvalidArgument, "Trivy report of SchemaVersion {}: {} is understood", schema, kSchemaVersion);
  }
  ASSIGN_OR_RETURN(const std::string artifact_type, root.GetString("ArtifactType"));
  if (artifact_type != "container_image") {
    return Error::Make(Code::kInvalidArgument, "Trivy report is about a {}, not a container image", artifact_type);
  }
  ScanReport report;
  report.tool = "trivy";
  ASSIGN_OR_RETURN(std::string artifact_name, root.GetStringOr("ArtifactName", ""));
  report.names.push_back(std::move(artifact_name));
  ASSIGN_OR_RETURN(const oci::JsonValue trivy, root.GetObjectOr("Trivy"));
  ASSIGN_OR_RETURN(report.tool_version, trivy.GetStringOr("Version", ""));
  ASSIGN_OR_RETURN(const std::string created_at, root.GetString("CreatedAt"));
  auto scanned_at = ParseRfc3339(created_at);
  if (!scanned_at) return std::move(scanned_at).error().Wrap("CreatedAt");
  report.scanned_at_ns = *scanned_at;
  ASSIGN_OR_RETURN(const oci::JsonValue metadata, root.GetObject("Metadata"));
  RETURN_IF_ERROR(ReadMetadata(metadata, report));
  ASSIGN_OR_RETURN(const oci::JsonValue results, root.GetArrayOr("Results"));
  RETURN_IF_ERROR(ReadResults(results, report));
  return report;
}

base::Result<Severity> ParseSeverity(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  for (const Severity severity : {Severity::kUnknown, Severity::kNegligible, Severity::kLow, Severity::kMedium,
                                  Severity::kHigh, Severity::kCritical}) {
    if (lower == SeverityName(severity)) return severity;
  }
  return Error::Make(Code::kInvalidArgument,
                     "\"{}\" is no severity: unknown, negligible, low, medium, high or critical", text.substr(0, 40));
}

std::string_view SeverityName(Severity severity) {
  switch (severity) {
    case Severity::kNone: return "none";
    case Severity::kUnknown: return "unknown";
    case Severity::kNegligible: return "negligible";
    case Severity::kLow: return "low";
    case Severity::kMedium: return "medium";
    case Severity::kHigh: return "high";
    case Severity::kCritical: return "critical";
  }
  return "unknown";
}

}  // namespace bulwark::trust
