// What the shim knows of one container: plain data with the objects that belong to it. TaskService
// owns the containers and acts on them; nothing here starts, signals or publishes.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/result.h"
#include "shim/exit_order.h"
#include "shim/operation_queue.h"
#include "shim/os/cgroup_stats.h"
#include "shim/process.h"
#include "shim/runtime_cli.h"

namespace bulwark::shim {

struct Container {
  explicit Container(RuntimeCli cli) : runtime(std::move(cli)) {}

  std::string id;
  std::string bundle;
  std::string decision_id;   // of the gate's answer to its Create
  std::string process_json;  // "process" of the effective runtime spec: what an exec may not exceed
  bool has_private_pid_namespace = false;
  bool has_rootfs_mounts = false;
  uint32_t io_uid = 0;  // who owns the container's ends of its stdio
  uint32_t io_gid = 0;

  std::unique_ptr<CgroupStats> stats;  // null if the cgroup could not be found

  RuntimeCli runtime;
  OperationQueue operations;
  std::shared_ptr<Process> init;
  std::unique_ptr<ExitOrder> exits;
  // Reserved ids (admission or registration under way) map to null.
  std::map<std::string, std::shared_ptr<Process>> execs;

  // The daemon attaches its controls to a created container before it runs; a start waits for that,
  // nothing else does.
  bool is_attached = false;
  std::function<void()> after_attach;

  // Set while it is being deleted; all who asked get the one answer.
  bool is_deleting = false;
  std::vector<std::function<void(const base::Status&)>> deleters;
};

}  // namespace bulwark::shim
