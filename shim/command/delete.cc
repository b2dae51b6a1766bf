#include "shim/command/delete.h"

#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <charconv>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "bulwark/v1/gate.pb.h"
#include "containerd/runc_options.pb.h"
#include "containerd/task.pb.h"
#include "lib/base/clock.h"
#include "lib/base/event_loop.h"
#include "lib/base/file_io.h"
#include "lib/base/logging.h"
#include "lib/base/spawn.h"
#include "lib/ttrpc/client.h"
#include "shim/command/socket_directory.h"
#include "shim/link/gate_client.h"
#include "shim/link/journal.h"
#include "shim/os/rootfs.h"
#include "shim/runtime_options.h"

namespace bulwark::shim {
namespace {

using base::Code;
using base::Error;

constexpr size_t kBundleFileBytesMax = 64 * 1024;
constexpr size_t kRuntimeOutputBytesMax = 64 * 1024;
constexpr int kRuntimeTimeoutMs = 3'000;
constexpr int64_t kGateTimeoutMs = 700;
constexpr int64_t kShimAnswerTimeoutMs = 300;
constexpr std::string_view kTaskService = "containerd.task.v2.Task";
constexpr uint32_t kKilledStatus = 128 + SIGKILL;
constexpr int64_t kNanosPerSecond = 1'000'000'000;

base::Result<std::string> BundleOf(const Args& args) {
  if (!args.bundle.empty()) {
    if (args.bundle.front() == '/') return args.bundle;
    return Error::Make(Code::kInvalidArgument, "delete: bundle {} is not an absolute path",
                       args.bundle);
  }
  std::string here(PATH_MAX, '\0');
  if (getcwd(here.data(), here.size()) == nullptr)
    return Error::FromErrno("read the current directory");
  here.resize(here.find('\0'));
  const size_t slash = here.rfind('/');
  if (slash == std::string::npos) {
    return Error(Code::kInvalidArgument, "delete: the current directory is out of reach");
  }
  return here.substr(0, slash + 1) + args.id;
}

// The options that Create left in the bundle. A Create that did not get that far left none: the
// defaults.
containerd::runc::Options OptionsOf(const std::string& bundle) {
  containerd::runc::Options options;
  if (auto binary = base::ReadFile(bundle + "/runtime", kBundleFileBytesMax); binary) {
    options.set_binary_name(*std::move(binary));
  }
  const auto text = base::ReadFile(bundle + "/options.json", kBundleFileBytesMax);
  if (!text) return options;
  const auto json = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return options;
  if (const auto root = json.find("root"); root != json.end() && root->is_string()) {
    options.set_root(root->get_ref<const std::string&>());
  }
  return options;
}

uint32_t InitPid(const std::string& bundle) {
  const auto text = base::ReadFile(bundle + "/init.pid", kBundleFileBytesMax);
  uint32_t pid = 0;
  if (text) std::from_chars(text->data(), text->data() + text->size(), pid);
  return pid;
}

// Without NOTIFY_SOCKET, which is containerd's: the runtime would report to systemd in its name.
std::vector<std::string> RuntimeEnvironment() {
  constexpr std::string_view kNotifySocket = "NOTIFY_SOCKET=";
  std::vector<std::string> environment;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (std::string_view(*variable).substr(0, kNotifySocket.size()) != kNotifySocket) {
      environment.emplace_back(*variable);
    }
  }
  return environment;
}

void DeleteInRuntime(const containerd::runc::Options& options, const std::string& root,
                     const std::string& bundle, const std::string& id) {
  base::SpawnOptions spawn;
  spawn.argv = {RuntimeBinary(options), "--root", root,     "--log",   bundle + "/log.json",
                "--log-format",         "json",   "delete", "--force", id};
  spawn.environment = RuntimeEnvironment();
  const auto done =
      base::RunCommand(std::move(spawn), {}, kRuntimeOutputBytesMax, kRuntimeTimeoutMs);
  if (done && done->exit_status == 0) return;
  base::LogError("runtime could not delete the container",
                 {{"container_id", id}, {"error", done ? done->output : done.error().message()}});
}

// Whether the shim that served the bundle still does. Removes the socket of one that is gone. It has
// to answer: while the kernel takes a killed shim down, its connections, whose end is why containerd
// calls us, may be closed before its listener, which then still takes ours. One that is there but
// does not answer in time lives.
bool ShimLives(const std::string& bundle, const std::string& id) {
  const auto address = base::ReadFile(bundle + "/address", kBundleFileBytesMax);
  const std::string path = address ? SocketPathOfAddress(*address) : std::string();
  if (path.empty()) return false;
  containerd::task::ConnectRequest request;
  request.set_id(id);
  const auto answer = ttrpc::CallBlocking(path, kTaskService, "Connect",
                                          request.SerializeAsString(), kShimAnswerTimeoutMs);
  if (answer || answer.error().code() == Code::kDeadlineExceeded) return true;
  RemoveDeadSocket(path);
  return false;
}

v1::LifecycleEvent EventOf(const Args& args, const DeleteOutcome& outcome, v1::EventKind kind) {
  v1::LifecycleEvent event;
  event.set_kind(kind);
  event.set_containerd_namespace(args.containerd_namespace);
  event.set_container_id(args.id);
  event.set_pid(outcome.pid);
  event.set_decision_id(outcome.decision_id);
  return event;
}

// What nobody else can report any more. With a living shim that is the removal alone: it sees the
// exit itself.
std::vector<v1::LifecycleEvent> EventsToReport(const Args& args, const DeleteOutcome& outcome,
                                               bool shim_lives) {
  std::vector<v1::LifecycleEvent> events;
  if (!outcome.runtime_knew_it) return events;
  if (!shim_lives) {
    events.push_back(EventOf(args, outcome, v1::SHIM_GONE));
    v1::LifecycleEvent exited = EventOf(args, outcome, v1::CONTAINER_EXITED);
    exited.set_exit_status(kKilledStatus);
    exited.set_detail(
        "killed in the clean-up after its shim was lost; had it exited before, its status is "
        "unknown");
    events.push_back(std::move(exited));
  }
  v1::LifecycleEvent deleted = EventOf(args, outcome, v1::CONTAINER_DELETED);
  deleted.set_exit_status(kKilledStatus);
  deleted.set_detail("removed by containerd's clean-up");
  events.push_back(std::move(deleted));
  return events;
}

base::Status Deliver(std::vector<v1::LifecycleEvent> events, const std::string& journal_path) {
  std::unique_ptr<EventJournal> journal;
  auto opened = EventJournal::Open(journal_path);
  if (opened) {
    journal = *std::move(opened);
  } else if (opened.error().code() != Code::kFailedPrecondition) {
    // Held by a living shim it is none of our business; else people should know of it.
    base::LogError("journal of lifecycle events is unreadable",
                   {{"error", opened.error().message()}});
  }
  if (events.empty() && (journal == nullptr || journal->empty())) return base::OkStatus();

  ASSIGN_OR_RETURN(const std::unique_ptr<base::EventLoop> loop, base::EventLoop::Create());
  GateClient gate(*loop, base::SystemClock(), GateClientOptionsFromEnvironment(),
                  std::move(journal));
  for (v1::LifecycleEvent& event : events) gate.Report(std::move(event));
  base::Status delivered;
  gate.Finish(kGateTimeoutMs, [&](base::Status status) {
    delivered = std::move(status);
    loop->Stop();
  });
  RETURN_IF_ERROR(loop->Run());
  return delivered;
}

std::string ResponseFor(const DeleteOutcome& outcome, int64_t wall_ns) {
  containerd::task::DeleteResponse response;
  response.set_pid(outcome.pid);
  response.set_exit_status(kKilledStatus);
  response.mutable_exited_at()->set_seconds(wall_ns / kNanosPerSecond);
  response.mutable_exited_at()->set_nanos(static_cast<int32_t>(wall_ns % kNanosPerSecond));
  return response.SerializeAsString();
}

}  // namespace

base::Result<DeleteOutcome> Delete(const Args& args) {
  ASSIGN_OR_RETURN(const std::string bundle, BundleOf(args));
  const containerd::runc::Options options = OptionsOf(bundle);
  const std::string root = RuntimeRoot(options, args.containerd_namespace);
  DeleteOutcome outcome;
  outcome.pid = InitPid(bundle);
  if (auto id = base::ReadFile(bundle + kDecisionFile, kBundleFileBytesMax); id) {
    outcome.decision_id = *std::move(id);
  }
  outcome.runtime_knew_it = base::PathExists(root + "/" + args.id);
  // Asked before the runtime kills the container: a shim may end with its last one.
  const bool shim_lives = ShimLives(bundle, args.id);
  if (outcome.runtime_knew_it) DeleteInRuntime(options, root, bundle, args.id);
  if (auto unmounted = UnmountRootfsBlocking(bundle + "/rootfs"); !unmounted) {
    base::LogError("rootfs not unmounted",
                   {{"container_id", args.id}, {"error", unmounted.error().message()}});
  }
  const std::string journal_path = bundle + "/" + kJournalName;
  if (auto delivered = Deliver(EventsToReport(args, outcome, shim_lives), journal_path);
      !delivered) {
    base::LogError("lifecycle events not delivered",
                   {{"container_id", args.id}, {"error", delivered.error().message()}});
  }
  outcome.response = ResponseFor(outcome, base::SystemClock().WallNanos());
  return outcome;
}

int RunDelete(const Args& args) {
  // A daemon that is away is no news here; what matters is logged above info.
  base::SetLogSink(STDERR_FILENO, base::LogLevel::kError);
  const auto outcome = Delete(args);
  base::Status done;
  if (outcome) {
    done = base::WriteAll(STDOUT_FILENO, outcome->response);
  } else {
    done = outcome.error();
  }
  if (done) return EXIT_SUCCESS;
  base::LogError("delete failed", {{"container_id", args.id}, {"error", done.error().message()}});
  return EXIT_FAILURE;
}

}  // namespace bulwark::shim
