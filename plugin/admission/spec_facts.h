// Plain data and its reader: what a runtime spec says about itself that decisions and records need. Annotations are
// hints for people and for choosing a rule by Kubernetes namespace; identity never comes from here.
#pragma once

#include <stdint.h>

#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"

namespace bulwark::admission {

struct SpecFacts {
  std::string sandbox_id;
  std::string pod_namespace;
  std::string pod_name;
  std::string pod_uid;
  std::string container_name;
};

struct ProcessFacts {
  std::vector<std::string> argv;               // whole: redact before recording
  std::vector<std::string> environment_names;  // never the values
  std::string cwd;
  uint32_t uid = 0;
  uint32_t gid = 0;
};

// kInvalidArgument for a spec that is malformed, has duplicate keys, keys that Go and we would read differently, or user
// and group ids beyond 32 bits.
base::Result<SpecFacts> ReadSpecFacts(std::string_view runtime_spec);
base::Result<ProcessFacts> ReadProcessFacts(std::string_view process_spec);

}  // namespace bulwark::admission
