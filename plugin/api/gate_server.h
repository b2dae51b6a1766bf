// The gate: answers shims over ttrpc (proto/bulwark/v1/gate.proto) on a root-only socket. One loop thread moves bytes, a
// pool of workers takes decisions; answers go out in the order in which decisions are taken, not asked.
#pragma once

#include <memory>
#include <string>
#include <thread>

#include "lib/base/event_loop.h"
#include "lib/base/result.h"
#include "lib/ttrpc/server.h"
#include "plugin/admission/admission.h"
#include "plugin/admission/lifecycle_recorder.h"
#include "plugin/api/pending_count.h"
#include "plugin/api/worker_pool.h"
#include "plugin/audit/record.h"

namespace bulwark::api {

inline constexpr uint32_t kGateApiVersion = 1;

class GateServer {
 public:
  struct Dependencies {  // none is owned; all outlive the server
    admission::Admission& admission;
    admission::LifecycleRecorder& lifecycle;
    audit::Recorder& recorder;
  };

  struct Options {
    std::string socket_path;
    size_t workers = 4;
    size_t queue_depth_max = 1024;  // decisions that wait for a worker; more are refused
  };

  // Listens on `socket_path` (mode 0600) and serves until destruction. Peers that are neither root nor the daemon's own
  // user are disconnected, with an ACCESS_REFUSED record.
  static base::Result<std::unique_ptr<GateServer>> Start(const Options& options, Dependencies dependencies);
  ~GateServer();

 private:
  GateServer(std::unique_ptr<base::EventLoop> loop, Dependencies dependencies);
  void Dispatch(const ttrpc::ServerCall& call, const ttrpc::Responder& responder);
  void AdmitCreate(const std::string& payload, const ttrpc::Responder& responder);
  void AdmitExec(const std::string& payload, const ttrpc::Responder& responder);
  void Attach(const std::string& payload, const ttrpc::Responder& responder);
  void Report(const std::string& payload, const ttrpc::Responder& responder);
  // Runs `decide` on a worker and answers from the loop.
  void Decide(const ttrpc::Responder& responder, std::function<admission::Answer()> decide);

  const std::unique_ptr<base::EventLoop> loop_;
  const Dependencies dependencies_;
  bool is_ending_ = false;  // used on the loop's thread
  PendingCount pending_reports_;
  std::unique_ptr<ttrpc::Server> server_;  // used on the loop's thread
  std::unique_ptr<WorkerPool> workers_;
  std::thread thread_;
};

}  // namespace bulwark::api
