// Tells when the kernel's OOM killer struck in a container.
// One object serves all containers of a pod.
//   v2: one inotify instance for all (max_user_instances is 128 by default) on memory.events;
//       counts "oom_kill", never "oom", which also rises without a kill (cgroup-v2.rst,
//       memory.events).
//   v1: an eventfd per container, registered on memory.oom_control through cgroup.event_control
//       (cgroup-v1/memory.rst, section 10). The eventfd also fires when the cgroup is removed; that
//       is not reported.
// Thread: the loop's. Nothing blocks.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "lib/base/event_loop.h"
#include "lib/base/result.h"
#include "shim/os/cgroup_path.h"

namespace bulwark::shim {

class OomWatcher {
 public:
  // Called once for every growth of the counter seen, with the container's id. May call Add and
  // Remove.
  using Callback = std::function<void(const std::string& container_id)>;

  // `loop` must outlive the object. Opens nothing until the first Add().
  OomWatcher(base::EventLoop& loop, Callback callback);
  ~OomWatcher();
  OomWatcher(const OomWatcher&) = delete;
  OomWatcher& operator=(const OomWatcher&) = delete;

  // Starts watching; call it between `runc create` and `runc start`, so that no early OOM is
  // missed. kAlreadyExists: the id is watched; kNotFound: the cgroup has no memory controller, or
  // is gone.
  base::Status Add(const std::string& container_id, const Cgroup& cgroup);

  // Reads once more, now, and reports what had not been reported: call it when init exited, before
  // the exit event goes out, so that an OOM is published before the exit it caused. Unknown ids are
  // ignored.
  void CheckNow(const std::string& container_id);

  // Stops watching. Unknown ids are ignored.
  void Remove(const std::string& container_id);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bulwark::shim
