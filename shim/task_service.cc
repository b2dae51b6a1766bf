#include "shim/task_service.h"

#include <malloc.h>

#include <utility>

namespace bulwark::shim {
namespace {

constexpr int64_t kTrimDelayMs = 500;

}  // namespace

struct TaskService::Method {
  std::string_view name;
  Handler handler;
};

const TaskService::Method TaskService::kMethods[] = {
    {"State", &TaskService::State},         {"Create", &TaskService::Create},
    {"Start", &TaskService::Start},         {"Delete", &TaskService::Delete},
    {"Pids", &TaskService::Pids},           {"Pause", &TaskService::Pause},
    {"Resume", &TaskService::Resume},       {"Checkpoint", &TaskService::Checkpoint},
    {"Kill", &TaskService::Kill},           {"Exec", &TaskService::Exec},
    {"ResizePty", &TaskService::ResizePty}, {"CloseIO", &TaskService::CloseIo},
    {"Update", &TaskService::Update},       {"Stats", &TaskService::Stats},
    {"Connect", &TaskService::Connect},     {"Shutdown", &TaskService::Shutdown},
};

TaskService::TaskService(TaskServiceContext context, std::function<void()> on_shutdown)
    : context_(std::move(context)),
      on_shutdown_(std::move(on_shutdown)),
      oom_(context_.loop, [this](const std::string& container_id) { OnOom(container_id); }),
      cgroup_warm_up_(context_.clock) {}

// Runtime calls in flight keep their containers, and the end of one would start the next.
TaskService::~TaskService() {
  for (const auto& [id, container] : containers_) container->operations.Close();
}

void TaskService::Handle(ttrpc::ServerCall call, ttrpc::Responder responder) {
  if (call.service == "containerd.task.v2.Task" || call.service == "containerd.task.v3.Task") {
    if (call.method == "Wait") return Wait(call.payload, call.timeout_ns, responder);
    for (const Method& method : kMethods) {
      if (method.name != call.method) continue;
      (this->*method.handler)(call.payload, responder);
      return;
    }
  }
  responder.Reply(base::Error::Make(base::Code::kUnimplemented, "method {}/{} is not implemented",
                                    call.service, call.method));
}

base::Result<TaskService::ContainerPtr> TaskService::FindContainer(const std::string& id) const {
  const auto it = containers_.find(id);
  if (it == containers_.end()) {
    return base::Error(base::Code::kNotFound, "container not created");
  }
  return it->second;
}

base::Result<TaskService::ProcessPtr> TaskService::FindProcess(const ContainerPtr& container,
                                                               const std::string& exec_id) const {
  if (exec_id.empty()) return container->init;
  const auto it = container->execs.find(exec_id);
  if (it == container->execs.end() || it->second == nullptr) {
    return base::Error::Make(base::Code::kNotFound, "process does not exist {}", exec_id);
  }
  return it->second;
}

v1::LifecycleEvent TaskService::MakeEvent(const Container& container, v1::EventKind kind) const {
  v1::LifecycleEvent event;
  event.set_kind(kind);
  event.set_containerd_namespace(context_.containerd_namespace);
  event.set_container_id(container.id);
  event.set_decision_id(container.decision_id);
  event.set_wall_ns(context_.clock.WallNanos());
  if (container.init != nullptr) event.set_pid(static_cast<uint32_t>(container.init->pid()));
  return event;
}

void TaskService::Report(const Container& container, v1::EventKind kind,
                         const std::string& detail) {
  v1::LifecycleEvent event = MakeEvent(container, kind);
  event.set_detail(detail);
  context_.gate.Report(std::move(event));
}

void TaskService::TrimMemorySoon() {
  if (trim_timer_ != 0) return;
  trim_timer_ = context_.loop.AddTimer(kTrimDelayMs, [this] {
    trim_timer_ = 0;
    malloc_trim(0);
  });
}

}  // namespace bulwark::shim
