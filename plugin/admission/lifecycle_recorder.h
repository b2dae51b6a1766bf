// Turns what shims report (gate.proto, LifecycleEvent) into durable audit records, each once however often it is sent.
// Used by the gate for live events and for the journals that shims leave in the spool directory when the daemon is away.
// Thread-safe. Looking up and forgetting containers waits for the disk, so it is done on a thread of its own: neither the
// gate's loop nor the log's writer ever waits for the state database.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "bulwark/v1/gate.pb.h"
#include "lib/base/result.h"
#include "plugin/admission/container_store.h"
#include "plugin/audit/record.h"
#include "plugin/audit/source_index.h"

namespace bulwark::admission {

class LifecycleRecorder {
 public:
  // Called once, with the highest source_seq of the request when every event of it is durable, or with the error of the
  // first that is not (the shim sends again then). Runs on the log's thread, on the recorder's, or on the caller's.
  using Callback = std::function<void(base::Result<uint64_t>)>;

  // None of the three is owned.
  LifecycleRecorder(audit::Recorder& recorder, audit::SourceIndex& sources, ContainerStore& containers);
  // Finishes what is queued. `recorder` must have answered all appends by then (AuditLog::Close() sees to that).
  ~LifecycleRecorder();
  LifecycleRecorder(const LifecycleRecorder&) = delete;
  LifecycleRecorder& operator=(const LifecycleRecorder&) = delete;

  // `events` are in the order of their source_seq and all of one source. kInvalidArgument if they are not. Does not
  // wait for the disk. Of a report of which one event is refused the others are remembered all the same: when it is
  // sent again, only the missing ones are recorded, and only then is it acknowledged.
  void Record(std::vector<v1::LifecycleEvent> events, Callback done);

 private:
  void Append(const std::vector<v1::LifecycleEvent>& events, Callback done);
  void AppendOne(const v1::LifecycleEvent& event, std::function<void(const base::Result<audit::Receipt>&)> finish);
  void Post(std::function<void()> work);
  void Run();

  audit::Recorder& recorder_;
  audit::SourceIndex& sources_;
  ContainerStore& containers_;
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::function<void()>> queue_;  // guarded by mutex_; bounded by the calls that the gate takes
  bool ending_ = false;                      // guarded by mutex_
  std::thread thread_;
};

}  // namespace bulwark::admission
