// Plain data: what the shim asks, and what it gets. Converted from the gate's messages at the door (plugin/api).
#pragma once

#include <stdint.h>

#include <string>

#include "plugin/containerd/client.h"
#include "plugin/policy/decision.h"

namespace bulwark::admission {

struct CreateRequest {
  std::string containerd_namespace;
  std::string container_id;
  std::string bundle;                        // absolute
  std::string runtime_spec;                  // config.json, as containerd wrote it
  std::vector<containerd::Mount> rootfs;     // as in the Create request
  std::string checkpoint;
  std::string runtime_binary;
  bool terminal = false;
  bool has_stdin = false;
  uint32_t shim_pid = 0;
};

struct ExecRequest {
  std::string containerd_namespace;
  std::string container_id;
  std::string exec_id;
  std::string process_spec;                  // as in the Exec request
  std::string container_process_spec;        // "process" of the container's effective runtime spec
  bool terminal = false;
  bool has_stdin = false;
};

struct Answer {
  policy::Decision decision;
  std::string decision_id;
  std::string effective_spec;                // what to run; empty when denied
};

}  // namespace bulwark::admission
