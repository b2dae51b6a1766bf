// Task.Create: ask the gate, and only then mount, create and adopt the container.
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "lib/base/file_io.h"
#include "lib/base/logging.h"
#include "shim/command/args.h"
#include "shim/command/delete.h"
#include "shim/command/spec_summary.h"
#include "shim/os/rootfs.h"
#include "shim/runtime_log.h"
#include "shim/runtime_options.h"
#include "shim/task_service.h"
#include "shim/wire.h"

namespace bulwark::shim {
namespace {

constexpr mode_t kSpecMode = 0644;
constexpr mode_t kPrivateMode = 0600;

std::string SpecPath(const std::string& bundle) { return bundle + "/config.json"; }
std::string RootfsPath(const std::string& bundle) { return bundle + "/rootfs"; }

std::vector<RootfsMount> ToMounts(const containerd::task::CreateTaskRequest& request) {
  std::vector<RootfsMount> mounts;
  for (const auto& mount : request.rootfs()) {
    mounts.push_back(RootfsMount{mount.type(),
                                 mount.source(),
                                 mount.target(),
                                 {mount.options().begin(), mount.options().end()}});
  }
  return mounts;
}

base::Result<v1::AdmitCreateRequest> MakeAdmitRequest(
    const containerd::task::CreateTaskRequest& request, const containerd::runc::Options& options,
    const std::string& containerd_namespace) {
  v1::AdmitCreateRequest admit;
  ASSIGN_OR_RETURN(*admit.mutable_runtime_spec(),
                   base::ReadFile(SpecPath(request.bundle()), kSpecBytesMax));
  admit.set_containerd_namespace(containerd_namespace);
  admit.set_container_id(request.id());
  admit.set_bundle(request.bundle());
  *admit.mutable_rootfs() = request.rootfs();
  admit.set_terminal(request.terminal());
  admit.set_has_stdin(!request.stdin().empty());
  admit.set_checkpoint(request.checkpoint());
  admit.set_runtime_binary(RuntimeBinary(options));
  admit.set_shim_pid(static_cast<uint32_t>(getpid()));
  return admit;
}

base::Error GivenUp() {
  return base::Error(base::Code::kAborted, "create was given up by a delete request");
}

// What a later `delete` command needs: the decision, for its events, and, to find the runtime again,
// the stock shim's files.
base::Status WriteRuntimeFiles(const std::string& bundle, const std::string& decision_id,
                               const containerd::runc::Options& options) {
  RETURN_IF_ERROR(base::ReplaceFile(bundle + kDecisionFile, decision_id, kPrivateMode,
                                    /*durable=*/false));
  RETURN_IF_ERROR(base::ReplaceFile(bundle + "/options.json", OptionsJson(options), kPrivateMode,
                                    /*durable=*/false));
  return base::ReplaceFile(bundle + "/runtime", options.binary_name(), kPrivateMode,
                           /*durable=*/false);
}

}  // namespace

base::Status TaskService::CheckCreate(const containerd::task::CreateTaskRequest& request) const {
  if (is_shutting_down_) {
    return base::Error(base::Code::kUnavailable, "create container: the shim is shutting down");
  }
  if (!IsIdentifier(request.id())) {
    return base::Error(base::Code::kInvalidArgument, "create container: invalid id");
  }
  if (request.bundle().empty() || request.bundle().front() != '/') {
    return base::Error::Make(base::Code::kInvalidArgument,
                             "create container {}: the bundle is not an absolute path",
                             request.id());
  }
  if (containers_.count(request.id()) != 0 || creations_.count(request.id()) != 0) {
    return base::Error::Make(base::Code::kAlreadyExists, "container {} already exists",
                             request.id());
  }
  if (!request.checkpoint().empty()) {
    return base::Error(base::Code::kUnimplemented,
                       "restoring a container from a checkpoint is not supported by this shim: "
                       "what a checkpoint would run cannot be judged");
  }
  return base::OkStatus();
}

void TaskService::Create(const std::string& payload, const ttrpc::Responder& responder) {
  auto request = ParseRequest<containerd::task::CreateTaskRequest>(payload);
  if (!request) return responder.Reply(std::move(request).error());
  if (auto status = CheckCreate(*request); !status)
    return responder.Reply(std::move(status).error());
  auto options = ParseRuntimeOptions(request->options());
  if (!options) return responder.Reply(std::move(options).error());
  auto admit = MakeAdmitRequest(*request, *options, context_.containerd_namespace);
  if (!admit) return responder.Reply(WithoutErrnoCode(std::move(admit).error()));

  auto creation = std::make_shared<Creation>(
      Creation{std::move(*request), std::move(*options), responder, false});
  creations_[creation->request.id()] = creation;
  context_.gate.AdmitCreate(std::move(*admit),
                            [this, creation](base::Result<v1::AdmitResponse> answer) {
                              OnCreateDecision(creation, std::move(answer));
                            });
  cgroup_warm_up_.Begin();
}

void TaskService::OnCreateDecision(const CreationPtr& creation,
                                   base::Result<v1::AdmitResponse> answer) {
  const std::string& id = creation->request.id();
  const auto refuse = [&](base::Error error) {
    ForgetCreation(creation);
    creation->responder.Reply(std::move(error));
    ShutDownIfEmpty();
  };
  if (!answer) {
    base::LogWarn("create refused: no decision",
                  {{"container_id", id}, {"error", answer.error().message()}});
    return refuse(base::Error(base::Code::kPermissionDenied, answer.error().message()));
  }
  if (!answer->allowed()) {
    base::LogInfo("create denied", {{"container_id", id},
                                    {"decision_id", answer->decision_id()},
                                    {"reason", answer->reason_code()}});
    return refuse(base::Error(base::Code::kPermissionDenied, answer->message()));
  }
  auto container = creation->is_abandoned ? base::Result<ContainerPtr>(GivenUp())
                                          : PrepareContainer(*creation, *answer);
  if (!container) {
    v1::LifecycleEvent event;
    event.set_kind(v1::CREATE_FAILED);
    event.set_containerd_namespace(context_.containerd_namespace);
    event.set_container_id(id);
    event.set_decision_id(answer->decision_id());
    event.set_detail(container.error().message());
    context_.gate.Report(std::move(event));
    return refuse(WithoutErrnoCode(std::move(container).error()));
  }
  (*container)
      ->init->OpenIo(
          context_.loop, [this, creation, created = *container](const base::Status& ready) {
            if (!ready) return FailCreation(creation, created, ready.error());
            Stdio& io = *created->init->io;
            created->runtime.Create(io.console_socket(), io.ChildDescriptors(),
                                    [this, creation, created](const RuntimeResult& result) {
                                      OnRuntimeCreated(creation, created, result);
                                    });
            io.ChildSpawned();
          });
}

base::Result<TaskService::ContainerPtr> TaskService::PrepareContainer(
    const Creation& creation, const v1::AdmitResponse& answer) {
  const auto& request = creation.request;
  const auto& options = creation.options;
  ASSIGN_OR_RETURN(SpecSummary summary, SummarizeSpec(answer.effective_spec()));

  RuntimeCli::Settings settings;
  settings.binary = RuntimeBinary(options);
  settings.root = RuntimeRoot(options, context_.containerd_namespace);
  settings.bundle = request.bundle();
  settings.container_id = request.id();
  settings.systemd_cgroup = options.systemd_cgroup();
  settings.no_pivot_root = options.no_pivot_root();
  settings.no_new_keyring = options.no_new_keyring();
  auto container =
      std::make_shared<Container>(RuntimeCli(context_.loop, context_.reaper, std::move(settings)));
  container->id = request.id();
  container->bundle = request.bundle();
  container->decision_id = answer.decision_id();
  container->process_json = std::move(summary.process_json);
  container->has_private_pid_namespace = summary.has_private_pid_namespace;
  container->has_rootfs_mounts = request.rootfs_size() > 0;
  container->io_uid = options.io_uid();
  container->io_gid = options.io_gid();

  StdioRequest io;
  io.stdin_uri = request.stdin();
  io.stdout_uri = request.stdout();
  io.stderr_uri = request.stderr();
  io.terminal = request.terminal();
  io.io_uid = options.io_uid();
  io.io_gid = options.io_gid();
  io.logger_id = request.id();
  io.logger_namespace = context_.containerd_namespace;
  container->init = std::make_shared<Process>(std::string(), std::move(io));

  RETURN_IF_ERROR(base::ReplaceFile(SpecPath(request.bundle()), answer.effective_spec(), kSpecMode,
                                    /*durable=*/false));
  RETURN_IF_ERROR(WriteRuntimeFiles(request.bundle(), answer.decision_id(), options));
  if (container->has_rootfs_mounts) {
    if (auto mounted = MountRootfs(ToMounts(request), RootfsPath(request.bundle())); !mounted) {
      return base::Error::Make(base::Code::kUnknown, "failed to mount rootfs component: {}",
                               mounted.error().message());
    }
  }
  return container;
}

void TaskService::OnRuntimeCreated(const CreationPtr& creation, const ContainerPtr& container,
                                   const RuntimeResult& result) {
  if (!result.ok()) {
    return FailCreation(creation, container, result.ToError("OCI runtime create failed"));
  }
  if (creation->is_abandoned) {
    return DiscardCreated(creation, container, GivenUp());
  }
  if (auto adopted = AdoptInit(container); !adopted) {
    return DiscardCreated(creation, container,
                          std::move(adopted).error().Wrap("OCI runtime create failed"));
  }
  PublishCreated(creation, container);
}

base::Status TaskService::AdoptInit(const ContainerPtr& container) {
  RETURN_IF_ERROR(container->init->io->RuntimeFinished());
  ASSIGN_OR_RETURN(const pid_t pid, ReadPidFile(container->runtime.PidFile("")));
  container->init->SetPid(pid);
  container->exits =
      std::make_unique<ExitOrder>([this, weak = std::weak_ptr(container)](const ProcessExit& exit) {
        if (const auto owner = weak.lock()) PublishInitExit(owner, exit);
      });
  RETURN_IF_ERROR(context_.reaper.WatchPid(
      pid, [this, container](const ProcessExit& exit) { OnInitExit(container, exit); }));

  auto cgroup = CgroupOf(pid);
  if (!cgroup) {
    base::LogWarn("cgroup unknown: no stats, no OOM events",
                  {{"container_id", container->id}, {"error", cgroup.error().message()}});
    return base::OkStatus();
  }
  if (auto enabled = EnableControllers(*cgroup); !enabled) {
    base::LogWarn("cgroup controllers not enabled",
                  {{"container_id", container->id}, {"error", enabled.error().message()}});
  }
  if (auto watched = oom_.Add(container->id, *cgroup); !watched) {
    base::LogWarn("OOM events are not watched",
                  {{"container_id", container->id}, {"error", watched.error().message()}});
  }
  container->stats = std::make_unique<CgroupStats>(std::move(*cgroup));
  return base::OkStatus();
}

void TaskService::PublishCreated(const CreationPtr& creation, const ContainerPtr& container) {
  const auto& request = creation->request;
  const auto pid = static_cast<uint32_t>(container->init->pid());
  containers_[container->id] = container;
  ForgetCreation(creation);

  containerd::events::TaskCreate event;
  event.set_container_id(container->id);
  event.set_bundle(container->bundle);
  *event.mutable_rootfs() = request.rootfs();
  event.mutable_io()->set_stdin(request.stdin());
  event.mutable_io()->set_stdout(request.stdout());
  event.mutable_io()->set_stderr(request.stderr());
  event.mutable_io()->set_terminal(request.terminal());
  event.set_checkpoint(request.checkpoint());
  event.set_pid(pid);
  context_.events.Publish(event);
  Report(*container, v1::CONTAINER_CREATED);
  AttachGate(container);
  base::LogInfo("container created", {{"container_id", container->id},
                                      {"decision_id", container->decision_id},
                                      {"pid", std::to_string(pid)}});

  containerd::task::CreateTaskResponse response;
  response.set_pid(pid);
  creation->responder.Reply(response.SerializeAsString());
  TrimMemorySoon();
}

void TaskService::AttachGate(const ContainerPtr& container) {
  v1::AttachRequest attach;
  attach.set_containerd_namespace(context_.containerd_namespace);
  attach.set_container_id(container->id);
  attach.set_decision_id(container->decision_id);
  attach.set_pid(static_cast<uint32_t>(container->init->pid()));
  if (container->stats != nullptr) attach.set_cgroup(container->stats->cgroup().path);
  context_.gate.Attach(std::move(attach), [container](const base::Status& status) {
    if (!status) {
      base::LogWarn("daemon did not attach",
                    {{"container_id", container->id}, {"error", status.error().message()}});
    }
    container->is_attached = true;
    if (auto waiting = std::exchange(container->after_attach, nullptr)) waiting();
  });
}

// The admitted container could not be created: undo what was done, then tell.
void TaskService::FailCreation(const CreationPtr& creation, const ContainerPtr& container,
                               const base::Error& error) {
  Report(*container, v1::CREATE_FAILED, error.message());
  base::LogWarn("create failed", {{"container_id", container->id},
                                  {"decision_id", container->decision_id},
                                  {"error", error.message()}});
  container->init->io.reset();
  const auto answer = [this, creation, error](const base::Status& unmounted) {
    if (!unmounted) {
      base::LogError(
          "rootfs of a failed create stays mounted",
          {{"container_id", creation->request.id()}, {"error", unmounted.error().message()}});
    }
    ForgetCreation(creation);
    creation->responder.Reply(WithoutErrnoCode(error));
    TrimMemorySoon();
    ShutDownIfEmpty();
  };
  if (!container->has_rootfs_mounts) return answer(base::OkStatus());
  UnmountRootfs(context_.loop, RootfsPath(container->bundle), answer);
}

// The runtime made a container that nobody will have.
void TaskService::DiscardCreated(const CreationPtr& creation, const ContainerPtr& container,
                                 const base::Error& error) {
  container->runtime.Delete(
      /*force=*/true, [this, creation, container, error](const RuntimeResult& result) {
        if (!result.ok() && !SaysDoesNotExist(result.Said())) {
          base::LogError("container of a failed create stays in the runtime",
                         {{"container_id", container->id},
                          {"error", result.ToError("failed to delete task").message()}});
        }
        oom_.Remove(container->id);
        FailCreation(creation, container, error);
      });
}

void TaskService::ForgetCreation(const CreationPtr& creation) {
  const auto it = creations_.find(creation->request.id());
  if (it != creations_.end() && it->second == creation) creations_.erase(it);
}

}  // namespace bulwark::shim
