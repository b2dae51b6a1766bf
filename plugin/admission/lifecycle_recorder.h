// Turns what shims report (gate.proto, LifecycleEvent) into durable audit records, each once however often it is sent.
// Used by the gate for live events and for the journals that shims leave in the spool directory when the daemon is away.
// Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <string>
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
  // first that is not (the shim sends again then). Runs on the log's thread or on the caller's.
  using Callback = std::function<void(base::Result<uint64_t>)>;

  // None of the three is owned.
  LifecycleRecorder(audit::Recorder& recorder, audit::SourceIndex& sources, ContainerStore& containers);

  // `events` are in the order of their source_seq and all of one source. kInvalidArgument if they are not. Does not
  // wait for the disk.
  void Record(const std::vector<v1::LifecycleEvent>& events, Callback done);

 private:
  audit::Recorder& recorder_;
  audit::SourceIndex& sources_;
  ContainerStore& containers_;
};

}  // namespace bulwark::admission
