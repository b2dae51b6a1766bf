#include "shim/os/cgroup_stats.h"

#include <utility>

#include "shim/os/cgroup_metrics.h"

namespace bulwark::shim {

using base::Code;
using base::Error;
using base::Result;

Result<Metrics> ReadMetrics(const Cgroup& cgroup) {
  if (!cgroup.Exists()) return Error::Make(Code::kNotFound, "read cgroup {}: gone", cgroup.path);
  Metrics metrics;
  if (cgroup.mode == CgroupMode::kV1) {
    metrics.type_url = "io.containerd.cgroups.v1.Metrics";
    metrics.value = ReadMetricsV1(cgroup);
  } else {
    metrics.type_url = "io.containerd.cgroups.v2.Metrics";
    metrics.value = ReadMetricsV2(cgroup.unified_directory);
  }
  return metrics;
}

CgroupStats::CgroupStats(Cgroup cgroup) : cgroup_(std::move(cgroup)) {}

Result<Metrics> CgroupStats::Read() {
  auto now = ReadMetrics(cgroup_);
  if (now) last_ = *now;
  if (now || last_.type_url.empty()) return now;
  return last_;
}

void CgroupStats::Refresh() {
  if (auto now = ReadMetrics(cgroup_); now) last_ = *std::move(now);
}

}  // namespace bulwark::shim
