// The task service of the shim: containerd.task.v2.Task and containerd.task.v3.Task, which differ
// by name only. One object serves all containers of a pod. Create and Exec ask the gate first and
// act only on what it allows; everything else follows the stock shim's behaviour and error texts
// (containerd cmd/containerd-shim-runc-v2/task/service.go).
//
// No handler blocks: each answers at once, or through callbacks when a runtime call, the gate or an
// exit has come in. The order of events is the order of the calls on the event publisher; an event
// is queued before the answer of its request. Thread: the loop's. The implementation is split by
// RPC group: task_create.cc, task_start.cc, task_exec.cc, task_control.cc, task_delete.cc,
// task_query.cc, task_exits.cc.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "containerd/runc_options.pb.h"
#include "containerd/task.pb.h"
#include "lib/base/clock.h"
#include "lib/base/event_loop.h"
#include "lib/ttrpc/server.h"
#include "shim/container.h"
#include "shim/link/event_publisher.h"
#include "shim/link/gate_client.h"
#include "shim/os/cgroup_warm_up.h"
#include "shim/os/oom_watcher.h"
#include "shim/reaper.h"

namespace bulwark::shim {

// What the service works with. Not owned; all of it outlives the service.
struct TaskServiceContext {
  base::EventLoop& loop;
  const base::Clock& clock;
  Reaper& reaper;
  EventPublisher& events;
  GateClient& gate;
  std::string containerd_namespace;
};

class TaskService {
 public:
  // `on_shutdown` is called once, when a Shutdown has been answered and no container remains.
  TaskService(TaskServiceContext context, std::function<void()> on_shutdown);
  ~TaskService();
  TaskService(const TaskService&) = delete;
  TaskService& operator=(const TaskService&) = delete;

  // The ttrpc server's handler. kUnimplemented for other services and methods.
  void Handle(ttrpc::ServerCall call, ttrpc::Responder responder);

  size_t container_count() const { return containers_.size() + creations_.size(); }

 private:
  using ContainerPtr = std::shared_ptr<Container>;
  using ProcessPtr = std::shared_ptr<Process>;
  using Handler = void (TaskService::*)(const std::string& payload, const ttrpc::Responder&);
  struct Method;
  static const Method kMethods[];

  // A Create on its way: invisible to all other calls but those that give it up.
  struct Creation {
    containerd::task::CreateTaskRequest request;
    containerd::runc::Options options;
    ttrpc::Responder responder;
    bool is_abandoned = false;
  };
  using CreationPtr = std::shared_ptr<Creation>;

  // task_create.cc
  void Create(const std::string& payload, const ttrpc::Responder& responder);
  base::Status CheckCreate(const containerd::task::CreateTaskRequest& request) const;
  void OnCreateDecision(const CreationPtr& creation, base::Result<v1::AdmitResponse> answer);
  base::Result<ContainerPtr> PrepareContainer(const Creation& creation,
                                              const v1::AdmitResponse& answer);
  void OnRuntimeCreated(const CreationPtr& creation, const ContainerPtr& container,
                        const RuntimeResult& result);
  base::Status AdoptInit(const ContainerPtr& container);
  void PublishCreated(const CreationPtr& creation, const ContainerPtr& container);
  void AttachGate(const ContainerPtr& container);
  void FailCreation(const CreationPtr& creation, const ContainerPtr& container,
                    const base::Error& error);
  void DiscardCreated(const CreationPtr& creation, const ContainerPtr& container,
                      const base::Error& error);
  void ForgetCreation(const CreationPtr& creation);

  // task_start.cc
  void Start(const std::string& payload, const ttrpc::Responder& responder);
  void StartInit(const ContainerPtr& container, const ttrpc::Responder& responder);
  void RunStartInit(const ContainerPtr& container, const ttrpc::Responder& responder,
                    const OperationQueue::Token& token);
  void StartExec(const ContainerPtr& container, const ProcessPtr& exec,
                 const ttrpc::Responder& responder);
  void RunStartExec(const ContainerPtr& container, const ProcessPtr& exec,
                    const ttrpc::Responder& responder, const OperationQueue::Token& token);
  base::Status AdoptExec(const ContainerPtr& container, const ProcessPtr& exec,
                         const std::string& pid_file);
  void FailExecStart(const ContainerPtr& container, const ProcessPtr& exec,
                     const ttrpc::Responder& responder, const base::Error& error);

  // task_exec.cc
  void Exec(const std::string& payload, const ttrpc::Responder& responder);
  void OnExecDecision(const ContainerPtr& container,
                      const containerd::task::ExecProcessRequest& request,
                      const ttrpc::Responder& responder, base::Result<v1::AdmitResponse> answer);

  // task_control.cc
  void Kill(const std::string& payload, const ttrpc::Responder& responder);
  void KillInit(const ContainerPtr& container, uint32_t signal_number, bool all,
                const ttrpc::Responder& responder);
  void Pause(const std::string& payload, const ttrpc::Responder& responder);
  void Resume(const std::string& payload, const ttrpc::Responder& responder);
  void Update(const std::string& payload, const ttrpc::Responder& responder);
  void ResizePty(const std::string& payload, const ttrpc::Responder& responder);
  void CloseIo(const std::string& payload, const ttrpc::Responder& responder);
  void Checkpoint(const std::string& payload, const ttrpc::Responder& responder);

  // task_delete.cc
  void Delete(const std::string& payload, const ttrpc::Responder& responder);
  void DeleteInit(const ContainerPtr& container, const ttrpc::Responder& responder);
  void DeleteExec(const ContainerPtr& container, const ProcessPtr& exec,
                  const ttrpc::Responder& responder);
  void DeleteInRuntime(const ContainerPtr& container, const OperationQueue::Token& token);
  void RemoveDeleted(const ContainerPtr& container);
  void FinishDelete(const ContainerPtr& container, const base::Status& status);
  void Shutdown(const std::string& payload, const ttrpc::Responder& responder);
  void ShutDownIfEmpty();

  // task_query.cc
  void State(const std::string& payload, const ttrpc::Responder& responder);
  void Pids(const std::string& payload, const ttrpc::Responder& responder);
  void Stats(const std::string& payload, const ttrpc::Responder& responder);
  void Wait(const std::string& payload, int64_t timeout_ns, const ttrpc::Responder& responder);
  void Connect(const std::string& payload, const ttrpc::Responder& responder);

  // task_exits.cc
  void OnInitExit(const ContainerPtr& container, const ProcessExit& exit);
  void KillRemaining(const ContainerPtr& container);
  void PublishInitExit(const ContainerPtr& container, const ProcessExit& exit);
  void OnExecExit(const ContainerPtr& container, const ProcessPtr& exec, const ProcessExit& exit);
  void PublishExit(const ContainerPtr& container, const Process& process, const ProcessExit& exit);
  void OnOom(const std::string& container_id);

  // kNotFound with containerd's texts.
  base::Result<ContainerPtr> FindContainer(const std::string& id) const;
  // An empty exec id finds the init process.
  base::Result<ProcessPtr> FindProcess(const ContainerPtr& container,
                                       const std::string& exec_id) const;
  void Report(const Container& container, v1::EventKind kind, const std::string& detail = {});
  // Gives free memory back to the kernel, off the path of any request: specs are large, the shim is
  // small.
  void TrimMemorySoon();
  // Fills in what every event of the container carries.
  v1::LifecycleEvent MakeEvent(const Container& container, v1::EventKind kind) const;

  TaskServiceContext context_;
  std::function<void()> on_shutdown_;
  OomWatcher oom_;
  CgroupWarmUp cgroup_warm_up_;
  std::map<std::string, ContainerPtr> containers_;
  std::map<std::string, CreationPtr> creations_;
  bool shutdown_wanted_ = false;
  bool is_shutting_down_ = false;
  base::EventLoop::TimerId trim_timer_ = 0;
};

}  // namespace bulwark::shim
