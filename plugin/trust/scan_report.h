// Vulnerability reports in one model, whatever tool wrote them: so far Trivy's JSON (SchemaVersion 2, artifact type
// container_image). Parsed strictly and bounded. Pure.
#pragma once

#include <stdint.h>

#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "plugin/trust/requirement.h"

namespace bulwark::trust {

inline constexpr size_t kReportBytesMax = size_t{64} << 20;
inline constexpr size_t kFindingsMax = 100'000;

struct Finding {
  std::string id;  // CVE-…, GHSA-…, DLA-…
  std::string package;
  std::string installed_version;
  std::string fixed_version;  // empty: no fix known
  Severity severity = Severity::kUnknown;
};

struct ScanReport {
  std::string tool;                       // "trivy"
  std::string tool_version;               // may be empty
  int64_t scanned_at_ns = 0;              // wall clock, as the report states
  std::string config_digest;              // the image that was scanned: by its config …
  std::vector<std::string> repo_digests;  // … and by the digests it was pulled as (bare "sha256:…")
  std::vector<std::string> names;         // what it calls the image: a hint that leads to it, never a proof
  std::string os_family;
  std::string os_name;
  bool os_is_end_of_life = false;
  std::vector<Finding> findings;
};

// kInvalidArgument when it is not such a report, kResourceExhausted beyond the limits.
base::Result<ScanReport> ParseTrivyReport(std::string_view bytes);

// RFC 3339 with an offset, up to nanoseconds, as wall nanoseconds; years 1970 to 2200. kInvalidArgument otherwise.
base::Result<int64_t> ParseRfc3339(std::string_view text);

// "CRITICAL", "high" …; kInvalidArgument for words that are no severity.
base::Result<Severity> ParseSeverity(std::string_view text);
std::string_view SeverityName(Severity severity);

}  // namespace bulwark::trust
