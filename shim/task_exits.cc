// What happens when a container's process ends: its exit is told once, in order, to containerd and
// to the daemon.
#include <signal.h>

#include <tuple>
#include <utility>

#include "lib/base/logging.h"
#include "shim/task_service.h"
#include "shim/wire.h"

namespace bulwark::shim {

void TaskService::OnInitExit(const ContainerPtr& container, const ProcessExit& exit) {
  // Discarded while it was being created: nobody was ever told of it.
  if (containers_.count(container->id) == 0) return;
  const Process::State state = container->init->state();
  if (container->init->io != nullptr) container->init->io->ProcessExited();
  if (container->stats != nullptr) container->stats->Refresh();
  // An OOM is published before the exit that it caused.
  oom_.CheckNow(container->id);
  if (!container->has_private_pid_namespace) KillRemaining(container);
  if (state == Process::State::kPaused || state == Process::State::kPausing) {
    // The freezer outlives the init, and nothing in it could be removed.
    container->operations.Submit(OperationQueue::Kind::kExclusive,
                                 [container](const OperationQueue::Token& token) {
                                   container->runtime.Resume([token](const RuntimeResult&) {});
                                 });
  }
  container->exits->InitExited(exit);
  // A start that waits for the daemon has nothing to wait for any more; it fails in the runtime.
  if (auto waiting = std::exchange(container->after_attach, nullptr)) waiting();
}

// Without a pid namespace of its own a container's processes outlive its init.
void TaskService::KillRemaining(const ContainerPtr& container) {
  for (const auto& [exec_id, exec] : container->execs) {
    if (exec != nullptr && exec->is_alive())
      std::ignore = context_.reaper.Signal(exec->pid(), SIGKILL);
  }
  container->runtime.Kill(SIGKILL, /*all=*/true, [container](const RuntimeResult& result) {
    if (result.ok()) return;
    base::LogDebug("kill of what the init left behind",
                   {{"container_id", container->id},
                    {"error", result.ToError("OCI runtime kill failed").message()}});
  });
}

void TaskService::PublishInitExit(const ContainerPtr& container, const ProcessExit& exit) {
  PublishExit(container, *container->init, exit);
  container->init->Exited(exit);
}

void TaskService::OnExecExit(const ContainerPtr& container, const ProcessPtr& exec,
                             const ProcessExit& exit) {
  // An exec that was killed because its start failed has been settled already.
  if (exec->state() == Process::State::kStopped) return;
  if (exec->io != nullptr) exec->io->ProcessExited();
  PublishExit(container, *exec, exit);
  exec->Exited(exit);
  container->exits->ExecEnded();
}

void TaskService::PublishExit(const ContainerPtr& container, const Process& process,
                              const ProcessExit& exit) {
  containerd::events::TaskExit event;
  event.set_container_id(container->id);
  event.set_id(process.is_init() ? container->id : process.exec_id());
  event.set_pid(static_cast<uint32_t>(process.pid()));
  event.set_exit_status(exit.status);
  SetTime(exit.wall_ns, event.mutable_exited_at());
  context_.events.Publish(event);

  v1::LifecycleEvent report =
      MakeEvent(*container, process.is_init() ? v1::CONTAINER_EXITED : v1::EXEC_EXITED);
  report.set_exec_id(process.exec_id());
  report.set_pid(static_cast<uint32_t>(process.pid()));
  report.set_exit_status(exit.status);
  report.set_wall_ns(exit.wall_ns);
  if (!process.is_init()) report.set_decision_id(process.decision_id);
  context_.gate.Report(std::move(report));
}

void TaskService::OnOom(const std::string& container_id) {
  auto container = FindContainer(container_id);
  if (!container) return;
  containerd::events::TaskOOM event;
  event.set_container_id(container_id);
  context_.events.Publish(event);
  Report(**container, v1::CONTAINER_OOM_KILLED);
}

}  // namespace bulwark::shim
