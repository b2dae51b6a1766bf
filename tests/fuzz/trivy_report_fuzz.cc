// A file that claims to be Trivy's report: parsing never crashes or hangs, and what is accepted is judged without
// surprises and never counts for an image it does not name.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <memory>
#include <string_view>
#include <utility>

#include "plugin/trust/scan_evaluator.h"
#include "plugin/trust/scan_test_support.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace trust = bulwark::trust;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  (void)trust::ParseRfc3339(bytes);
  auto report = trust::ParseTrivyReport(bytes);
  if (!report) return 0;
  const auto image = trust::TestImage();
  trust::ScanRequirement requirement;
  requirement.max_age_ns = int64_t{3600} * 1'000'000'000;
  const bool is_ours = report->config_digest == image.config_digest;
  const auto shared = std::make_shared<const trust::ScanReport>(std::move(report).value());
  const trust::ScanEvidence evidence{{{"/r.json", "", true, shared, ""}}, {}};
  const auto step = EvaluateScan(requirement, image, evidence, trust::kScannedAtNs + 1);
  if (step.satisfied && !is_ours) abort();
  if (step.detail.empty() || step.detail.size() > 8192) abort();
  return 0;
}
