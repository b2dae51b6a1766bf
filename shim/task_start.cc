// Task.Start: the init process of a created container, or an exec process that Exec has registered.
#include <signal.h>
#include <unistd.h>

#include <tuple>
#include <utility>

#include "lib/base/file_io.h"
#include "lib/base/logging.h"
#include "shim/task_service.h"
#include "shim/wire.h"

namespace bulwark::shim {
namespace {

constexpr mode_t kPrivateMode = 0600;

std::string StartReply(pid_t pid) {
  containerd::task::StartResponse response;
  response.set_pid(static_cast<uint32_t>(pid));
  return response.SerializeAsString();
}

base::Error InitNotRunning(const std::string& container_id) {
  return base::Error::Make(base::Code::kFailedPrecondition,
                           "container {} init process is not running", container_id);
}

}  // namespace

void TaskService::Start(const std::string& payload, const ttrpc::Responder& responder) {
  auto request = ParseRequest<containerd::task::StartRequest>(payload);
  if (!request) return responder.Reply(std::move(request).error());
  auto container = FindContainer(request->id());
  if (!container) return responder.Reply(std::move(container).error());
  auto process = FindProcess(*container, request->exec_id());
  if (!process) return responder.Reply(std::move(process).error());
  if (!(*process)->is_init()) return StartExec(*container, *process, responder);
  StartInit(*container, responder);
}

void TaskService::StartInit(const ContainerPtr& container, const ttrpc::Responder& responder) {
  if (auto status = container->init->BeginStart(); !status) {
    return responder.Reply(std::move(status).error());
  }
  container->exits->InitStartBegan();
  auto start = [this, container, responder] {
    container->operations.Submit(OperationQueue::Kind::kExclusive,
                                 [this, container, responder](const OperationQueue::Token& token) {
                                   RunStartInit(container, responder, token);
                                 });
  };
  if (container->is_attached) return start();
  container->after_attach = std::move(start);
}

void TaskService::RunStartInit(const ContainerPtr& container, const ttrpc::Responder& responder,
                               const OperationQueue::Token& token) {
  container->runtime.Start([this, container, responder, token](const RuntimeResult& result) {
    const ProcessPtr init = container->init;
    if (!result.ok()) {
      init->StartFailed(context_.clock.WallNanos());
      responder.Reply(result.ToError("OCI runtime start failed"));
      container->exits->InitStartEnded();
      return;
    }
    init->Started();
    containerd::events::TaskStart event;
    event.set_container_id(container->id);
    event.set_pid(static_cast<uint32_t>(init->pid()));
    context_.events.Publish(event);
    Report(*container, v1::CONTAINER_STARTED);
    responder.Reply(StartReply(init->pid()));
    // The init may have exited meanwhile; its exit is published here, behind the start.
    container->exits->InitStartEnded();
  });
}

void TaskService::StartExec(const ContainerPtr& container, const ProcessPtr& exec,
                            const ttrpc::Responder& responder) {
  if (container->exits->has_init_exited()) return responder.Reply(InitNotRunning(container->id));
  if (auto status = exec->BeginStart(); !status) return responder.Reply(std::move(status).error());
  container->exits->ExecBegan();
  container->operations.Submit(
      OperationQueue::Kind::kShared,
      [this, container, exec, responder](const OperationQueue::Token& token) {
        RunStartExec(container, exec, responder, token);
      });
}

void TaskService::RunStartExec(const ContainerPtr& container, const ProcessPtr& exec,
                               const ttrpc::Responder& responder,
                               const OperationQueue::Token& token) {
  if (container->exits->has_init_exited()) {
    return FailExecStart(container, exec, responder, InitNotRunning(container->id));
  }
  const std::string pid_file = container->runtime.PidFile(exec->exec_id());
  const std::string process_file = container->bundle + "/" + exec->exec_id() + ".process.json";
  unlink(pid_file.c_str());
  if (auto written = base::ReplaceFile(process_file, exec->spec, kPrivateMode, /*durable=*/false);
      !written) {
    return FailExecStart(container, exec, responder, written.error());
  }
  cgroup_warm_up_.Begin();
  exec->OpenIo(context_.loop, [this, container, exec, responder, token, pid_file,
                               process_file](const base::Status& ready) {
    if (!ready) {
      unlink(process_file.c_str());
      return FailExecStart(container, exec, responder, ready.error());
    }
    Stdio& io = *exec->io;
    container->runtime.Exec(process_file, pid_file, io.console_socket(), io.ChildDescriptors(),
                            [this, container, exec, responder, token, pid_file,
                             process_file](const RuntimeResult& result) {
                              unlink(process_file.c_str());
                              if (!result.ok()) {
                                return FailExecStart(container, exec, responder,
                                                     result.ToError("OCI runtime exec failed"));
                              }
                              if (auto adopted = AdoptExec(container, exec, pid_file); !adopted) {
                                return FailExecStart(
                                    container, exec, responder,
                                    std::move(adopted).error().Wrap("OCI runtime exec failed"));
                              }
                              responder.Reply(StartReply(exec->pid()));
                              exec->StartSettled();
                              TrimMemorySoon();
                            });
    io.ChildSpawned();
  });
}

base::Status TaskService::AdoptExec(const ContainerPtr& container, const ProcessPtr& exec,
                                    const std::string& pid_file) {
  ASSIGN_OR_RETURN(const pid_t pid, ReadPidFile(pid_file));
  RETURN_IF_ERROR(context_.reaper.WatchPid(pid, [this, container, exec](const ProcessExit& exit) {
    OnExecExit(container, exec, exit);
  }));
  exec->SetPid(pid);
  if (auto finished = exec->io->RuntimeFinished(); !finished) {
    // It runs without its terminal, and nobody will be told that it does: it may not go on.
    std::ignore = context_.reaper.Signal(pid, SIGKILL);
    return std::move(finished).error();
  }
  // The init died while the runtime worked, and what it left behind was killed before this was
  // there (KillRemaining); with a shared pid namespace nothing else would end it.
  if (container->exits->has_init_exited()) std::ignore = context_.reaper.Signal(pid, SIGKILL);
  exec->Started();
  exec->spec.clear();
  exec->spec.shrink_to_fit();

  containerd::events::TaskExecStarted event;
  event.set_container_id(container->id);
  event.set_exec_id(exec->exec_id());
  event.set_pid(static_cast<uint32_t>(pid));
  context_.events.Publish(event);
  v1::LifecycleEvent report = MakeEvent(*container, v1::EXEC_STARTED);
  report.set_exec_id(exec->exec_id());
  report.set_pid(static_cast<uint32_t>(pid));
  report.set_decision_id(exec->decision_id);
  context_.gate.Report(std::move(report));
  return base::OkStatus();
}

void TaskService::FailExecStart(const ContainerPtr& container, const ProcessPtr& exec,
                                const ttrpc::Responder& responder, const base::Error& error) {
  v1::LifecycleEvent report = MakeEvent(*container, v1::EXEC_FAILED);
  report.set_exec_id(exec->exec_id());
  report.set_pid(0);
  report.set_decision_id(exec->decision_id);
  report.set_detail(error.message());
  context_.gate.Report(std::move(report));
  exec->io.reset();
  exec->spec.clear();
  responder.Reply(WithoutErrnoCode(error));
  exec->StartFailed(context_.clock.WallNanos());
  exec->StartSettled();
  container->exits->ExecEnded();
}

}  // namespace bulwark::shim
