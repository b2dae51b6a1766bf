// Task.Delete and Task.Shutdown. A delete goes on when its caller has given up, and every caller
// gets its outcome.
#include <signal.h>
#include <unistd.h>

#include <tuple>
#include <utility>

#include "lib/base/logging.h"
#include "shim/os/rootfs.h"
#include "shim/runtime_log.h"
#include "shim/task_service.h"
#include "shim/wire.h"

namespace bulwark::shim {
namespace {

// How long output may still flow after the end: children in the background may keep a pipe open for
// ever, and CRI gives a whole delete 10 s (containerd#13377).
constexpr int64_t kDrainMs = 2'000;

std::string DeleteReply(const Process& process) {
  containerd::task::DeleteResponse response;
  response.set_pid(static_cast<uint32_t>(process.pid()));
  response.set_exit_status(process.exit().status);
  SetTime(process.exit().wall_ns, response.mutable_exited_at());
  return response.SerializeAsString();
}

// Runs `done` once: when the process's output has ended, or after kDrainMs.
void AfterDrain(base::EventLoop& loop, const std::shared_ptr<Process>& process,
                std::function<void()> done) {
  if (process->io == nullptr) return done();
  struct Drain {
    std::function<void()> done;
    base::EventLoop::TimerId timer = 0;
  };
  auto drain = std::make_shared<Drain>();
  drain->done = std::move(done);
  const auto finish = [&loop, drain, process] {
    loop.CancelTimer(drain->timer);
    if (auto run = std::exchange(drain->done, nullptr)) {
      process->io.reset();
      run();
    }
  };
  drain->timer = loop.AddTimer(kDrainMs, finish);
  process->io->OnOutputDrained(finish);
}

}  // namespace

void TaskService::Delete(const std::string& payload, const ttrpc::Responder& responder) {
  auto request = ParseRequest<containerd::task::DeleteRequest>(payload);
  if (!request) return responder.Reply(std::move(request).error());
  const auto creation = creations_.find(request->id());
  if (creation != creations_.end()) creation->second->is_abandoned = true;
  auto container = FindContainer(request->id());
  if (!container) return responder.Reply(std::move(container).error());
  auto process = FindProcess(*container, request->exec_id());
  if (!process) return responder.Reply(std::move(process).error());
  if (!(*process)->is_init() && (*process)->state() == Process::State::kStarting) {
    return (*process)->WhenStartSettled([this, payload, responder] { Delete(payload, responder); });
  }
  if (auto status = (*process)->CheckDelete(); !status) {
    return responder.Reply(std::move(status).error());
  }
  if (!(*process)->is_init()) return DeleteExec(*container, *process, responder);
  DeleteInit(*container, responder);
}

void TaskService::DeleteExec(const ContainerPtr& container, const ProcessPtr& exec,
                             const ttrpc::Responder& responder) {
  AfterDrain(context_.loop, exec, [container, exec, responder] {
    unlink(container->runtime.PidFile(exec->exec_id()).c_str());
    const auto it = container->execs.find(exec->exec_id());
    if (it != container->execs.end() && it->second == exec) container->execs.erase(it);
    responder.Reply(DeleteReply(*exec));
  });
}

void TaskService::DeleteInit(const ContainerPtr& container, const ttrpc::Responder& responder) {
  container->deleters.push_back(
      [container = container.get(), responder](const base::Status& status) {
        if (!status) return responder.Reply(status.error());
        responder.Reply(DeleteReply(*container->init));
      });
  if (std::exchange(container->is_deleting, true)) return;
  // Created but never started: its process waits for ever. It ends here, so that its exit is told
  // before the deletion.
  if (container->init->state() == Process::State::kCreated) {
    std::ignore = context_.reaper.Signal(container->init->pid(), SIGKILL);
  }
  container->init->WaitExit([this, container](const ProcessExit&) {
    container->operations.Submit(OperationQueue::Kind::kExclusive,
                                 [this, container](const OperationQueue::Token& token) {
                                   DeleteInRuntime(container, token);
                                 });
  });
}

void TaskService::DeleteInRuntime(const ContainerPtr& container,
                                  const OperationQueue::Token& token) {
  // The last output drains while the runtime works.
  struct Join {
    int missing = 2;
    base::Status outcome;
  };
  auto join = std::make_shared<Join>();
  const auto arrive = [this, container, join, token](const base::Status& status) {
    if (!status) join->outcome = status;
    if (--join->missing > 0) return;
    if (!join->outcome) return FinishDelete(container, join->outcome);
    RemoveDeleted(container);
  };
  if (container->stats != nullptr) container->stats->Refresh();
  container->runtime.Delete(/*force=*/false, [arrive](const RuntimeResult& result) {
    if (result.ok() || SaysDoesNotExist(result.Said())) return arrive(base::OkStatus());
    arrive(result.ToError("failed to delete task"));
  });
  AfterDrain(context_.loop, container->init, [arrive] { arrive(base::OkStatus()); });
}

void TaskService::RemoveDeleted(const ContainerPtr& container) {
  if (!container->has_rootfs_mounts) return FinishDelete(container, base::OkStatus());
  UnmountRootfs(
      context_.loop, container->bundle + "/rootfs", [this, container](base::Status status) {
        if (!status) {
          return FinishDelete(container, std::move(status).error().Wrap("failed rootfs umount"));
        }
        FinishDelete(container, base::OkStatus());
      });
}

void TaskService::FinishDelete(const ContainerPtr& container, const base::Status& status) {
  if (!status) {
    base::LogWarn("delete failed",
                  {{"container_id", container->id}, {"error", status.error().message()}});
  } else {
    oom_.Remove(container->id);
    containerd::events::TaskDelete event;
    event.set_container_id(container->id);
    event.set_pid(static_cast<uint32_t>(container->init->pid()));
    event.set_exit_status(container->init->exit().status);
    SetTime(container->init->exit().wall_ns, event.mutable_exited_at());
    context_.events.Publish(event);
    Report(*container, v1::CONTAINER_DELETED);
    containers_.erase(container->id);
  }
  container->is_deleting = false;
  for (const auto& deleter : std::exchange(container->deleters, {})) deleter(status);
  if (status) ShutDownIfEmpty();
}

void TaskService::Shutdown(const std::string&, const ttrpc::Responder& responder) {
  responder.Reply(std::string());
  if (!containers_.empty()) return;
  for (const auto& [id, creation] : creations_) {
    if (!creation->is_abandoned) return;
  }
  // What was given up still has to be undone; then we go.
  shutdown_wanted_ = true;
  ShutDownIfEmpty();
}

void TaskService::ShutDownIfEmpty() {
  if (!shutdown_wanted_ || !containers_.empty()) return;
  for (const auto& [id, creation] : creations_) {
    if (creation->is_abandoned) return;
    // Somebody came for the shim meanwhile: it is needed again.
    shutdown_wanted_ = false;
  }
  if (!shutdown_wanted_ || std::exchange(is_shutting_down_, true)) return;
  on_shutdown_();
}

}  // namespace bulwark::shim
