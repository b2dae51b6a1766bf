// What Task.Stats answers: the numbers of a container's cgroup as io.containerd.cgroups.v1.Metrics
// or v2.Metrics (containerd/cgroups, stats/metrics.proto). Files of controllers that are absent
// leave their part of the message empty; they are no error. Each read opens about fifteen small
// files; the kubelet asks every ten seconds.
// Thread: one at a time.
#pragma once

#include <string>

#include "lib/base/result.h"
#include "shim/os/cgroup_path.h"

namespace bulwark::shim {

// The two fields of an Any.
struct Metrics {
  std::string type_url;
  std::string value;
};

// Reads the numbers now. kNotFound if the cgroup is gone.
base::Result<Metrics> ReadMetrics(const Cgroup& cgroup);

// The same with a memory: between exit and Delete the cgroup may be gone, while clients still ask.
class CgroupStats {
 public:
  explicit CgroupStats(Cgroup cgroup);

  // The present numbers, else the last good ones. kNotFound if there never were any.
  base::Result<Metrics> Read();
  // Call when init exited and before `runc delete`, so that Read() has something to answer with
  // afterwards.
  void Refresh();

  const Cgroup& cgroup() const { return cgroup_; }

 private:
  Cgroup cgroup_;
  Metrics last_;  // empty type_url: none yet
};

}  // namespace bulwark::shim
