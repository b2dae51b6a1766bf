#include "plugin/api/gate_server.h"

#include <future>
#include <utility>
#include <vector>

#include "bulwark/v1/gate.pb.h"
#include "lib/base/logging.h"
#include "lib/base/unix_socket.h"
#include "plugin/api/peer.h"

namespace bulwark::api {
namespace {

using base::Code;
using base::Error;

constexpr std::string_view kService = "bulwark.v1.Gate";
constexpr int64_t kFlushMs = 2000;  // at the end, for peers that do not read their answers

// Parses a request of the one API version there is.
template <typename Request>
base::Result<Request> ParseRequest(const std::string& payload) {
  Request request;
  if (!request.ParseFromString(payload)) return Error(Code::kInvalidArgument, "request is not a valid message");
  if (request.api_version() != kGateApiVersion) {
    return Error::Make(Code::kFailedPrecondition,
                       "the shim speaks gate version {}, this daemon {}: install shim and daemon of one release",
                       request.api_version(), kGateApiVersion);
  }
  return request;
}

std::string Serialise(const admission::Answer& answer) {
  v1::AdmitResponse response;
  response.set_allowed(answer.decision.allowed);
  response.set_decision_id(answer.decision_id);
  response.set_reason_code(answer.decision.reason_code);
  response.set_message(answer.decision.message);
  response.set_effective_spec(answer.effective_spec);
  return response.SerializeAsString();
}

admission::CreateRequest FromMessage(const v1::AdmitCreateRequest& message) {
  admission::CreateRequest request;
  request.containerd_namespace = message.containerd_namespace();
  request.container_id = message.container_id();
  request.bundle = message.bundle();
  request.runtime_spec = message.runtime_spec();
  for (const auto& mount : message.rootfs()) {
    request.rootfs.push_back(
        {mount.type(), mount.source(), mount.target(), {mount.options().begin(), mount.options().end()}});
  }
  request.checkpoint = message.checkpoint();
  request.runtime_binary = message.runtime_binary();
  request.terminal = message.terminal();
  request.has_stdin = message.has_stdin();
  request.shim_pid = message.shim_pid();
  return request;
}

admission::ExecRequest FromMessage(const v1::AdmitExecRequest& message) {
  admission::ExecRequest request;
  request.containerd_namespace = message.containerd_namespace();
  request.container_id = message.container_id();
  request.exec_id = message.exec_id();
  request.process_spec = message.process_spec();
  request.container_process_spec = message.container_process_spec();
  request.terminal = message.terminal();
  request.has_stdin = message.has_stdin();
  return request;
}

}  // namespace

GateServer::GateServer(std::unique_ptr<base::EventLoop> loop, Dependencies dependencies)
    : loop_(std::move(loop)), dependencies_(dependencies) {}

base::Result<std::unique_ptr<GateServer>> GateServer::Start(const Options& from, Dependencies dependencies) {
  ASSIGN_OR_RETURN(base::UniqueFd listener, base::ListenUnix(from.socket_path, 0600));
  ASSIGN_OR_RETURN(auto loop, base::EventLoop::Create());
  std::unique_ptr<GateServer> gate(new GateServer(std::move(loop), dependencies));
  ttrpc::ServerOptions options;
  options.accept_peer = MayUseSockets;
  options.on_refused_peer = [&recorder = dependencies.recorder, socket_path = from.socket_path](const base::PeerCredentials& peer) {
    RecordRefusedPeer(recorder, socket_path, peer);
  };
  gate->server_ = std::make_unique<ttrpc::Server>(
      *gate->loop_, std::move(options),
      [self = gate.get()](const ttrpc::ServerCall& call, const ttrpc::Responder& responder) {
        self->Dispatch(call, responder);
      });
  RETURN_IF_ERROR(gate->server_->Serve(std::move(listener)));
  gate->workers_ = std::make_unique<WorkerPool>(from.workers, from.queue_depth_max);
  gate->thread_ = std::thread([self = gate.get()] {
    if (auto status = self->loop_->Run(); !status) {
      base::LogError("the gate's loop failed", {{"error", status.error().message()}});
    }
  });
  return gate;
}

// First nothing new is begun, then what was begun is finished, then it is answered, then the loop ends.
GateServer::~GateServer() {
  if (thread_.joinable()) {
    std::promise<void> refusing;
    loop_->Post([this, &refusing] {
      is_ending_ = true;
      server_->StopAccepting();
      refusing.set_value();
    });
    refusing.get_future().wait();
    workers_.reset();
    pending_reports_.WaitForNone();
    loop_->Post([this] {
      loop_->AddTimer(kFlushMs, [this] { loop_->Stop(); });
      server_->FlushThen([this] { loop_->Stop(); });
    });
    thread_.join();
  }
  server_.reset();
}

void GateServer::Dispatch(const ttrpc::ServerCall& call, const ttrpc::Responder& responder) {
  if (is_ending_) {
    responder.Reply(Error(Code::kUnavailable, "the daemon is stopping"));
  } else if (call.service != kService) {
    responder.Reply(Error::Make(Code::kUnimplemented, "unknown service {}", call.service));
  } else if (call.method == "AdmitCreate") {
    AdmitCreate(call.payload, responder);
  } else if (call.method == "AdmitExec") {
    AdmitExec(call.payload, responder);
  } else if (call.method == "Attach") {
    Attach(call.payload, responder);
  } else if (call.method == "Report") {
    Report(call.payload, responder);
  } else {
    responder.Reply(Error::Make(Code::kUnimplemented, "unknown method {}/{}", call.service, call.method));
  }
}

void GateServer::Decide(const ttrpc::Responder& responder, std::function<admission::Answer()> decide) {
  const bool queued = workers_->Submit([this, responder, decide = std::move(decide)] {
    loop_->Post([responder, bytes = Serialise(decide())] { responder.Reply(bytes); });
  });
  if (!queued) {
    responder.Reply(Error(Code::kResourceExhausted, "too many decisions are waiting already: try again"));
  }
}

void GateServer::AdmitCreate(const std::string& payload, const ttrpc::Responder& responder) {
  auto message = ParseRequest<v1::AdmitCreateRequest>(payload);
  if (!message) return responder.Reply(std::move(message).error());
  Decide(responder, [this, request = FromMessage(*message)] { return dependencies_.admission.AdmitCreate(request); });
}

void GateServer::AdmitExec(const std::string& payload, const ttrpc::Responder& responder) {
  auto message = ParseRequest<v1::AdmitExecRequest>(payload);
  if (!message) return responder.Reply(std::move(message).error());
  Decide(responder, [this, request = FromMessage(*message)] { return dependencies_.admission.AdmitExec(request); });
}

void GateServer::Attach(const std::string& payload, const ttrpc::Responder& responder) {
  // The recorder, drift and network controls hook in here; knowing the process is all that is needed so far.
  auto message = ParseRequest<v1::AttachRequest>(payload);
  if (!message) return responder.Reply(std::move(message).error());
  base::LogDebug("container attached", {{"container_id", message->container_id()},
                                        {"pid", std::to_string(message->pid())},
                                        {"decision_id", message->decision_id()}});
  responder.Reply(v1::AttachResponse().SerializeAsString());
}

void GateServer::Report(const std::string& payload, const ttrpc::Responder& responder) {
  auto message = ParseRequest<v1::ReportRequest>(payload);
  if (!message) return responder.Reply(std::move(message).error());
  std::vector<v1::LifecycleEvent> events(message->events().begin(), message->events().end());
  pending_reports_.Add();
  dependencies_.lifecycle.Record(std::move(events), [this, responder](base::Result<uint64_t> acknowledged) {
    loop_->Post([responder, acknowledged = std::move(acknowledged)] {
      if (!acknowledged) return responder.Reply(acknowledged.error());
      v1::ReportResponse response;
      response.set_acknowledged_seq(*acknowledged);
      responder.Reply(response.SerializeAsString());
    });
    pending_reports_.Remove();
  });
}

}  // namespace bulwark::api
