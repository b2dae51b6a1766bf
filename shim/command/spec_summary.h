// The few facts that the shim itself needs from a bundle's config.json, found in one pass without
// building a document. Everything else in the runtime spec is the daemon's to judge and the
// runtime's to apply. Pure.
//
// Go decodes JSON keys without regard to case and lets the last one win, so a document in which a
// key that is read here occurs twice, or in another case, could mean something else to runc than to
// us: such a document is refused.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <string>
#include <string_view>

#include "lib/base/result.h"

namespace bulwark::shim {

inline constexpr size_t kSpecBytesMax = 3 * 1024 * 1024;
inline constexpr size_t kSpecDepthMax = 64;

struct SpecSummary {
  std::string group_annotation;  // io.containerd.runc.v2.group; forgeable, see GroupOf
  std::string sandbox_id;        // io.kubernetes.cri.sandbox-id
  std::string container_type;    // io.kubernetes.cri.container-type: "sandbox" or "container"
  // linux.namespaces has an entry of type "pid" without a path: the init's exit takes every process
  // with it.
  bool has_private_pid_namespace = false;
  uint32_t uid = 0;  // process.user
  uint32_t gid = 0;
  bool terminal = false;  // process.terminal
  std::string
      process_json;  // the text of "process" as it stands in the document; empty if there is none
};

// kResourceExhausted: larger than kSpecBytesMax or nested deeper than kSpecDepthMax.
// kInvalidArgument: not a JSON object, a member of the wrong type, or an ambiguous key.
base::Result<SpecSummary> SummarizeSpec(std::string_view config_json);

// Which shim a container belongs to: containers of one group share a shim. The CRI sandbox id if
// there is one, else the group annotation, else the container's own id. Upstream asks the
// annotation first; a pod whose handler lets annotations pass could then move into another pod's
// shim, so it counts only where CRI does not say which pod this is.
std::string GroupOf(const SpecSummary& summary, std::string_view container_id);

}  // namespace bulwark::shim
