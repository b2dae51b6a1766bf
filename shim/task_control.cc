// Task.Kill, Pause, Resume, Update, ResizePty, CloseIO, Checkpoint.
#include <signal.h>

#include <utility>

#include "lib/base/logging.h"
#include "shim/runtime_log.h"
#include "shim/task_service.h"
#include "shim/update_resources.h"
#include "shim/wire.h"

namespace bulwark::shim {
namespace {

constexpr uint32_t kSignalMax = 64;

base::Error AlreadyFinished() {
  return base::Error(base::Code::kNotFound, "process already finished");
}

base::Error Stopped(std::string_view action) {
  return base::Error::Make(base::Code::kUnknown, "cannot {} a stopped container", action);
}

// runc and crun run the container's init as the very process whose pid they report, so a signal
// through its pidfd is what their `kill` does, minus a program start. Other runtimes (a sandboxed
// kernel, a VM) may have something else behind it.
bool InitIsTheProcess(const std::string& runtime_binary) {
  const size_t slash = runtime_binary.rfind('/');
  const std::string name =
      slash == std::string::npos ? runtime_binary : runtime_binary.substr(slash + 1);
  return name == "runc" || name == "crun";
}

}  // namespace

void TaskService::Kill(const std::string& payload, const ttrpc::Responder& responder) {
  auto request = ParseRequest<containerd::task::KillRequest>(payload);
  if (!request) return responder.Reply(std::move(request).error());
  const auto creation = creations_.find(request->id());
  if (creation != creations_.end()) {
    return responder.Reply(base::Error::Make(base::Code::kFailedPrecondition,
                                             "container {} is being created", request->id()));
  }
  auto container = FindContainer(request->id());
  if (!container) return responder.Reply(std::move(container).error());
  auto process = FindProcess(*container, request->exec_id());
  if (!process) return responder.Reply(std::move(process).error());
  if (request->signal() > kSignalMax) {
    return responder.Reply(
        base::Error::Make(base::Code::kInvalidArgument, "unknown signal {}", request->signal()));
  }
  if ((*process)->is_init()) {
    return KillInit(*container, request->signal(), request->all(), responder);
  }
  if ((*process)->state() == Process::State::kStarting) {
    // It may come to run: the signal must not get lost on the way.
    return (*process)->WhenStartSettled([this, payload, responder] { Kill(payload, responder); });
  }
  if ((*process)->state() == Process::State::kStopped) return responder.Reply(AlreadyFinished());
  if ((*process)->pid() == 0) {
    return responder.Reply(base::Error(base::Code::kFailedPrecondition, "process not created"));
  }
  auto sent = context_.reaper.Signal((*process)->pid(), static_cast<int>(request->signal()));
  if (!sent) return responder.Reply(std::move(sent).error());
  v1::LifecycleEvent report = MakeEvent(**container, v1::CONTAINER_KILLED);
  report.set_exec_id((*process)->exec_id());
  report.set_pid(static_cast<uint32_t>((*process)->pid()));
  report.set_signal(request->signal());
  context_.gate.Report(std::move(report));
  responder.Reply(std::string());
}

void TaskService::KillInit(const ContainerPtr& container, uint32_t signal_number, bool all,
                           const ttrpc::Responder& responder) {
  const Process& init = *container->init;
  const auto report = [this, container, signal_number, all] {
    v1::LifecycleEvent event = MakeEvent(*container, v1::CONTAINER_KILLED);
    event.set_signal(signal_number);
    event.set_all(all);
    context_.gate.Report(std::move(event));
  };
  // An init that kills its pid namespace with it needs no --all. A frozen init does not die of a
  // signal alone (cgroup v1), so the runtime, which thaws, has to do that.
  const bool takes_all_along = container->has_private_pid_namespace && signal_number == SIGKILL;
  const bool is_frozen =
      init.state() == Process::State::kPaused || init.state() == Process::State::kPausing;
  const bool is_direct = InitIsTheProcess(container->runtime.settings().binary) &&
                         (!all || takes_all_along) && !(is_frozen && signal_number == SIGKILL);
  if (is_direct) {
    auto sent = context_.reaper.Signal(init.pid(), static_cast<int>(signal_number));
    if (!sent) return responder.Reply(std::move(sent).error());
    report();
    return responder.Reply(std::string());
  }
  container->runtime.Kill(signal_number, all, [responder, report](const RuntimeResult& result) {
    if (result.ok()) {
      report();
      return responder.Reply(std::string());
    }
    if (SaysAlreadyGone(result.Said())) return responder.Reply(AlreadyFinished());
    responder.Reply(result.ToError("OCI runtime kill failed"));
  });
}

void TaskService::Pause(const std::string& payload, const ttrpc::Responder& responder) {
  auto request = ParseRequest<containerd::task::PauseRequest>(payload);
  if (!request) return responder.Reply(std::move(request).error());
  auto found = FindContainer(request->id());
  if (!found) return responder.Reply(std::move(found).error());
  const ContainerPtr container = *found;
  container->operations.Submit(
      OperationQueue::Kind::kExclusive,
      [this, container, responder](const OperationQueue::Token& token) {
        if (auto status = container->init->BeginPause(); !status) {
          return responder.Reply(std::move(status).error());
        }
        container->runtime.Pause([this, container, responder, token](const RuntimeResult& result) {
          container->init->PauseEnded(result.ok() && !container->exits->has_init_exited());
          if (!result.ok()) return responder.Reply(result.ToError("OCI runtime pause failed"));
          // Nothing is told of a task after its exit.
          if (container->exits->has_init_exited()) return responder.Reply(Stopped("pause"));
          containerd::events::TaskPaused event;
          event.set_container_id(container->id);
          context_.events.Publish(event);
          Report(*container, v1::CONTAINER_PAUSED);
          responder.Reply(std::string());
        });
      });
}

void TaskService::Resume(const std::string& payload, const ttrpc::Responder& responder) {
  auto request = ParseRequest<containerd::task::ResumeRequest>(payload);
  if (!request) return responder.Reply(std::move(request).error());
  auto found = FindContainer(request->id());
  if (!found) return responder.Reply(std::move(found).error());
  const ContainerPtr container = *found;
  container->operations.Submit(
      OperationQueue::Kind::kExclusive,
      [this, container, responder](const OperationQueue::Token& token) {
        if (auto status = container->init->CheckResume(); !status) {
          return responder.Reply(std::move(status).error());
        }
        container->runtime.Resume([this, container, responder, token](const RuntimeResult& result) {
          if (!result.ok()) return responder.Reply(result.ToError("OCI runtime resume failed"));
          container->init->Resumed();
          if (container->exits->has_init_exited()) return responder.Reply(Stopped("resume"));
          containerd::events::TaskResumed event;
          event.set_container_id(container->id);
          context_.events.Publish(event);
          Report(*container, v1::CONTAINER_RESUMED);
          responder.Reply(std::string());
        });
      });
}

void TaskService::Update(const std::string& payload, const ttrpc::Responder& responder) {
  auto request = ParseRequest<containerd::task::UpdateTaskRequest>(payload);
  if (!request) return responder.Reply(std::move(request).error());
  auto found = FindContainer(request->id());
  if (!found) return responder.Reply(std::move(found).error());
  const ContainerPtr container = *found;
  auto allowed = UpdatableResources(request->resources().value());
  if (!allowed) return responder.Reply(std::move(allowed).error());
  container->operations.Submit(
      OperationQueue::Kind::kExclusive,
      [this, container, responder,
       resources = *std::move(allowed)](const OperationQueue::Token& token) {
        if (container->init->state() == Process::State::kStopped) {
          return responder.Reply(Stopped("update"));
        }
        container->runtime.Update(
            resources, [this, container, responder, token](const RuntimeResult& result) {
              if (!result.ok()) return responder.Reply(result.ToError("OCI runtime update failed"));
              Report(*container, v1::CONTAINER_UPDATED);
              responder.Reply(std::string());
            });
      });
}

void TaskService::ResizePty(const std::string& payload, const ttrpc::Responder& responder) {
  auto request = ParseRequest<containerd::task::ResizePtyRequest>(payload);
  if (!request) return responder.Reply(std::move(request).error());
  auto container = FindContainer(request->id());
  if (!container) return responder.Reply(std::move(container).error());
  auto process = FindProcess(*container, request->exec_id());
  if (!process) return responder.Reply(std::move(process).error());
  if (!(*process)->is_init() && (*process)->state() == Process::State::kStopped) {
    return responder.Reply(base::Error(base::Code::kUnknown, "cannot resize a stopped container"));
  }
  if (!(*process)->io_request.terminal || (*process)->io == nullptr) {
    return responder.Reply(std::string());
  }
  auto resized = (*process)->io->Resize(request->width(), request->height());
  if (!resized) return responder.Reply(std::move(resized).error());
  responder.Reply(std::string());
}

void TaskService::CloseIo(const std::string& payload, const ttrpc::Responder& responder) {
  auto request = ParseRequest<containerd::task::CloseIORequest>(payload);
  if (!request) return responder.Reply(std::move(request).error());
  auto container = FindContainer(request->id());
  if (!container) return responder.Reply(std::move(container).error());
  auto process = FindProcess(*container, request->exec_id());
  if (!process) return responder.Reply(std::move(process).error());
  if (request->stdin()) (*process)->CloseStdin();
  responder.Reply(std::string());
}

void TaskService::Checkpoint(const std::string&, const ttrpc::Responder& responder) {
  responder.Reply(base::Error(base::Code::kUnimplemented,
                              "checkpoints are not supported by this shim: a restored container "
                              "could not be judged"));
}

}  // namespace bulwark::shim
