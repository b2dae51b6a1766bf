// Task.Exec: ask the gate, and only then register the exec process. Start runs what the gate
// answered.
#include <utility>

#include "lib/base/logging.h"
#include "shim/command/args.h"
#include "shim/exec_spec.h"
#include "shim/task_service.h"
#include "shim/wire.h"

namespace bulwark::shim {
namespace {

base::Status CheckState(const Container& container) {
  const Process::State state = container.init->state();
  if (state == Process::State::kStopped || container.exits->has_init_exited()) {
    return base::Error(base::Code::kFailedPrecondition,
                       "cannot exec in a stopped state: container init process is not running");
  }
  if (state == Process::State::kPaused || state == Process::State::kPausing) {
    return base::Error(base::Code::kUnknown, "cannot exec in a paused state");
  }
  return base::OkStatus();
}

}  // namespace

void TaskService::Exec(const std::string& payload, const ttrpc::Responder& responder) {
  auto parsed = ParseRequest<containerd::task::ExecProcessRequest>(payload);
  if (!parsed) return responder.Reply(std::move(parsed).error());
  containerd::task::ExecProcessRequest& request = *parsed;
  auto found = FindContainer(request.id());
  if (!found) return responder.Reply(std::move(found).error());
  const ContainerPtr container = *found;
  if (!IsIdentifier(request.exec_id())) {
    return responder.Reply(base::Error(base::Code::kInvalidArgument, "exec: invalid exec id"));
  }
  if (container->execs.count(request.exec_id()) != 0) {
    return responder.Reply(
        base::Error::Make(base::Code::kAlreadyExists, "exec {} already exists", request.exec_id()));
  }
  if (auto status = CheckState(*container); !status) return responder.Reply(status.error());
  auto spec = WithTerminal(request.spec().value(), request.terminal());
  if (!spec) return responder.Reply(std::move(spec).error());

  v1::AdmitExecRequest admit;
  admit.set_containerd_namespace(context_.containerd_namespace);
  admit.set_container_id(container->id);
  admit.set_exec_id(request.exec_id());
  admit.set_process_spec(std::move(*spec));
  admit.set_terminal(request.terminal());
  admit.set_has_stdin(!request.stdin().empty());
  admit.set_create_decision_id(container->decision_id);
  admit.set_container_process_spec(container->process_json);
  request.clear_spec();
  container->execs[request.exec_id()] = nullptr;  // reserved while the gate thinks
  context_.gate.AdmitExec(std::move(admit), [this, container, request,
                                             responder](base::Result<v1::AdmitResponse> answer) {
    OnExecDecision(container, request, responder, std::move(answer));
  });
  cgroup_warm_up_.Begin();
}

void TaskService::OnExecDecision(const ContainerPtr& container,
                                 const containerd::task::ExecProcessRequest& request,
                                 const ttrpc::Responder& responder,
                                 base::Result<v1::AdmitResponse> answer) {
  const auto refuse = [&](base::Code code, const std::string& message) {
    container->execs.erase(request.exec_id());
    responder.Reply(base::Error(code, message));
  };
  if (!answer) {
    base::LogWarn("exec refused: no decision",
                  {{"container_id", container->id}, {"error", answer.error().message()}});
    return refuse(base::Code::kPermissionDenied, answer.error().message());
  }
  if (!answer->allowed()) {
    base::LogInfo("exec denied", {{"container_id", container->id},
                                  {"decision_id", answer->decision_id()},
                                  {"reason", answer->reason_code()}});
    return refuse(base::Code::kPermissionDenied, answer->message());
  }
  if (auto status = CheckState(*container); !status) {
    return refuse(status.error().code(), status.error().message());
  }

  StdioRequest io;
  io.stdin_uri = request.stdin();
  io.stdout_uri = request.stdout();
  io.stderr_uri = request.stderr();
  io.terminal = request.terminal();
  io.io_uid = container->io_uid;
  io.io_gid = container->io_gid;
  io.logger_id = request.exec_id();
  io.logger_namespace = context_.containerd_namespace;
  auto exec = std::make_shared<Process>(request.exec_id(), std::move(io));
  exec->spec = std::move(*answer->mutable_effective_spec());
  exec->decision_id = answer->decision_id();
  container->execs[request.exec_id()] = std::move(exec);

  containerd::events::TaskExecAdded event;
  event.set_container_id(container->id);
  event.set_exec_id(request.exec_id());
  context_.events.Publish(event);
  responder.Reply(std::string());
}

}  // namespace bulwark::shim
