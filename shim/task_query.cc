// Task.State, Pids, Stats, Wait, Connect: none of them touches the runtime, so they answer whatever
// else is going on.
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "containerd/runc_options.pb.h"
#include "lib/base/logging.h"
#include "shim/command/start.h"
#include "shim/os/cgroup_path.h"
#include "shim/task_service.h"
#include "shim/wire.h"

namespace bulwark::shim {
namespace {

constexpr int64_t kNanosPerMilli = 1'000'000;
constexpr char kProcessDetailsType[] = "containerd.runc.v1.ProcessDetails";

// An exec shares the freezer with its container.
containerd::task::TaskStatus StatusOf(const Container& container, const Process& process) {
  const auto init_status = container.init->wire_status();
  const bool is_frozen =
      init_status == containerd::task::PAUSED || init_status == containerd::task::PAUSING;
  if (is_frozen && process.state() == Process::State::kRunning) return init_status;
  return process.wire_status();
}

}  // namespace

void TaskService::State(const std::string& payload, const ttrpc::Responder& responder) {
  auto request = ParseRequest<containerd::task::StateRequest>(payload);
  if (!request) return responder.Reply(std::move(request).error());
  auto container = FindContainer(request->id());
  if (!container) return responder.Reply(std::move(container).error());
  auto found = FindProcess(*container, request->exec_id());
  if (!found) return responder.Reply(std::move(found).error());
  const Process& process = **found;

  containerd::task::StateResponse response;
  response.set_id(process.is_init() ? (*container)->id : process.exec_id());
  response.set_bundle((*container)->bundle);
  response.set_pid(static_cast<uint32_t>(process.pid()));
  response.set_status(StatusOf(**container, process));
  response.set_stdin(process.io_request.stdin_uri);
  response.set_stdout(process.io_request.stdout_uri);
  response.set_stderr(process.io_request.stderr_uri);
  response.set_terminal(process.io_request.terminal);
  response.set_exit_status(process.exit().status);
  SetTime(process.exit().wall_ns, response.mutable_exited_at());
  response.set_exec_id(process.exec_id());
  responder.Reply(response.SerializeAsString());
}

void TaskService::Pids(const std::string& payload, const ttrpc::Responder& responder) {
  auto request = ParseRequest<containerd::task::PidsRequest>(payload);
  if (!request) return responder.Reply(std::move(request).error());
  auto found = FindContainer(request->id());
  if (!found) return responder.Reply(std::move(found).error());
  const Container& container = **found;

  std::vector<pid_t> pids;
  if (container.stats != nullptr) {
    auto listed = ProcessesIn(container.stats->cgroup());
    if (listed) {
      pids = std::move(*listed);
    } else {
      base::LogWarn("processes are listed from what was started: the cgroup cannot be read",
                    {{"container_id", container.id}, {"error", listed.error().message()}});
      pids.push_back(container.init->pid());
      for (const auto& [exec_id, exec] : container.execs) {
        if (exec != nullptr && exec->is_alive()) pids.push_back(exec->pid());
      }
    }
  }
  // A container that has exited but was not deleted still answers with its init: a restarting
  // containerd takes an empty list for a leaked shim and would throw the exit status away.
  if (pids.empty()) pids.push_back(container.init->pid());

  containerd::task::PidsResponse response;
  for (const pid_t pid : pids) {
    auto* const info = response.add_processes();
    info->set_pid(static_cast<uint32_t>(pid));
    for (const auto& [exec_id, exec] : container.execs) {
      if (exec == nullptr || !exec->is_alive() || exec->pid() != pid) continue;
      containerd::runc::ProcessDetails details;
      details.set_exec_id(exec_id);
      info->mutable_info()->set_type_url(kProcessDetailsType);
      info->mutable_info()->set_value(details.SerializeAsString());
    }
  }
  responder.Reply(response.SerializeAsString());
}

void TaskService::Stats(const std::string& payload, const ttrpc::Responder& responder) {
  auto request = ParseRequest<containerd::task::StatsRequest>(payload);
  if (!request) return responder.Reply(std::move(request).error());
  auto container = FindContainer(request->id());
  if (!container) return responder.Reply(std::move(container).error());
  if ((*container)->stats == nullptr) {
    return responder.Reply(base::Error(base::Code::kNotFound, "cgroup does not exist"));
  }
  auto metrics = (*container)->stats->Read();
  if (!metrics) return responder.Reply(std::move(metrics).error());
  containerd::task::StatsResponse response;
  response.mutable_stats()->set_type_url(std::move(metrics->type_url));
  response.mutable_stats()->set_value(std::move(metrics->value));
  responder.Reply(response.SerializeAsString());
}

// A caller with a deadline is gone after it, and does not say so (ttrpc has no cancellation); one
// without waits for as long as it takes.
void TaskService::Wait(const std::string& payload, int64_t timeout_ns,
                       const ttrpc::Responder& responder) {
  auto request = ParseRequest<containerd::task::WaitRequest>(payload);
  if (!request) return responder.Reply(std::move(request).error());
  auto container = FindContainer(request->id());
  if (!container) return responder.Reply(std::move(container).error());
  auto process = FindProcess(*container, request->exec_id());
  if (!process) return responder.Reply(std::move(process).error());
  const auto timer = std::make_shared<base::EventLoop::TimerId>(0);
  const auto waiter = (*process)->WaitExit([this, timer, responder](const ProcessExit& exit) {
    context_.loop.CancelTimer(*timer);
    containerd::task::WaitResponse response;
    response.set_exit_status(exit.status);
    SetTime(exit.wall_ns, response.mutable_exited_at());
    responder.Reply(response.SerializeAsString());
  });
  if (timeout_ns <= 0 || (*process)->state() == Process::State::kStopped) return;
  const int64_t timeout_ms = timeout_ns / kNanosPerMilli + 1;
  *timer = context_.loop.AddTimer(timeout_ms, [weak = std::weak_ptr(*process), waiter, responder] {
    const auto waited = weak.lock();
    if (waited == nullptr) return;  // deleted, and the waiter was told
    waited->ForgetWaiter(waiter);
    responder.Reply(base::Error(base::Code::kDeadlineExceeded, "context deadline exceeded"));
  });
}

void TaskService::Connect(const std::string& payload, const ttrpc::Responder& responder) {
  auto request = ParseRequest<containerd::task::ConnectRequest>(payload);
  if (!request) return responder.Reply(std::move(request).error());
  containerd::task::ConnectResponse response;
  response.set_shim_pid(static_cast<uint32_t>(getpid()));
  response.set_version(kShimVersion);
  if (auto container = FindContainer(request->id()); container) {
    response.set_task_pid(static_cast<uint32_t>((*container)->init->pid()));
  }
  responder.Reply(response.SerializeAsString());
}

}  // namespace bulwark::shim
