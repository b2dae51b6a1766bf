#include "shim/command/start.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "containerd/runc_options.pb.h"
#include "containerd/task.pb.h"
#include "lib/base/cleanup.h"
#include "lib/base/file_io.h"
#include "lib/base/sha256.h"
#include "lib/base/spawn.h"
#include "lib/base/unix_socket.h"
#include "lib/ttrpc/client.h"
#include "shim/command/shim_cgroup.h"
#include "shim/command/socket_directory.h"
#include "shim/command/spec_summary.h"
#include "shim/runtime_options.h"

namespace bulwark::shim {
namespace {

using base::Code;
using base::Error;

constexpr size_t kInputBytesMax = 10 * 1024 * 1024;
constexpr int kLogLevelDebug = -4;  // containerd.runtime.bootstrap.v1.LogLevel
constexpr int64_t kAliveTimeoutMs = 3'000;
constexpr int kClaimAttempts = 100;
constexpr timespec kClaimPause = {0, 10'000'000};
constexpr int kOomScoreAdjMax = 1'000;
constexpr size_t kOomScoreBytesMax = 32;

// Go's filepath.Join of the three, which cleans the result.
std::string CleanJoin(const std::vector<std::string_view>& parts) {
  std::string text;
  for (const std::string_view part : parts) {
    if (part.empty()) continue;
    if (!text.empty()) text += '/';
    text += part;
  }
  const bool is_absolute = !text.empty() && text.front() == '/';
  std::vector<std::string_view> kept;
  for (std::string_view rest = text; !rest.empty();) {
    const size_t slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
    if (part.empty() || part == ".") continue;
    if (part == ".." && !kept.empty() && kept.back() != "..") {
      kept.pop_back();
    } else if (part != ".." || !is_absolute) {
      kept.push_back(part);
    }
  }
  std::string joined = is_absolute ? "/" : "";
  for (size_t i = 0; i < kept.size(); ++i) {
    if (i > 0) joined += '/';
    joined += kept[i];
  }
  return joined;
}

base::Result<std::string> CgroupFromOptions(const containerd::wire::Any& any) {
  ASSIGN_OR_RETURN(const containerd::runc::Options options, ParseRuntimeOptions(any));
  return options.shim_cgroup();
}

bool IsRuntimeOptions(const containerd::wire::Any& any) {
  const std::string_view type = any.type_url();
  const std::string_view name = type.substr(type.rfind('/') + 1);  // npos + 1 is 0
  return name == "containerd.runc.v1.Options" || name == "runtimeoptions.v1.Options";
}

base::Result<StartInput> FromBootstrapParams(const containerd::runc::BootstrapParams& params) {
  StartInput input;
  input.is_debug = params.log_level() <= kLogLevelDebug;
  input.socket_directory = params.socket_dir();
  if (!input.socket_directory.empty() && input.socket_directory.front() != '/') {
    return Error::Make(Code::kInvalidArgument,
                       "read start parameters: socket_dir {} is not absolute",
                       input.socket_directory);
  }
  for (const containerd::runc::BootstrapExtension& extension : params.extensions()) {
    if (!IsRuntimeOptions(extension.value())) continue;
    ASSIGN_OR_RETURN(input.shim_cgroup, CgroupFromOptions(extension.value()));
  }
  return input;
}

// What a listener at our socket's path turned out to be.
enum class Listener { kOurShim, kOtherShim, kEnding };

// A bare connect would also succeed with a shim that is about to exit, or that hangs; an answer to
// a call says it serves.
base::Result<Listener> Identify(const std::string& path, const Args& args) {
  containerd::task::ConnectRequest request;
  request.set_id(args.id);
  auto answer = ttrpc::CallBlocking(path, "containerd.task.v2.Task", "Connect",
                                    request.SerializeAsString(), kAliveTimeoutMs);
  if (!answer) {
    switch (answer.error().code()) {
      case Code::kUnavailable:
      case Code::kNotFound:
        return Listener::kEnding;
      case Code::kDeadlineExceeded:
        return std::move(answer).error().Wrap("shim at {} does not answer", path);
      default:
        return Listener::kOtherShim;
    }
  }
  containerd::task::ConnectResponse response;
  const bool is_ours = response.ParseFromString(*answer) && response.version() == kShimVersion;
  return is_ours ? Listener::kOurShim : Listener::kOtherShim;
}

struct Claim {
  base::UniqueFd listener;  // not open: our shim lives at the path
  std::string path;
};

base::Result<base::UniqueFd> ListenLocked(const std::string& directory, const std::string& path) {
  ASSIGN_OR_RETURN(const SocketDirectoryLock lock, SocketDirectoryLock::Take(directory));
  return base::ListenUnix(path, 0600);
}

// Takes the socket of the group, or finds the shim that has it. A foreign shim there (the stock
// one, from before the node's handler was changed to ours) would run the container unjudged: such a
// container gets a shim of its own.
base::Result<Claim> ClaimSocket(const std::string& directory, const Args& args,
                                const std::string& group) {
  Claim claim;
  claim.path = SocketPath(directory, args, group);
  for (int attempt = 0; attempt < kClaimAttempts; ++attempt) {
    auto listener = ListenLocked(directory, claim.path);
    if (listener) {
      claim.listener = *std::move(listener);
      return claim;
    }
    if (listener.error().code() != Code::kAlreadyExists) return std::move(listener).error();
    ASSIGN_OR_RETURN(const Listener found, Identify(claim.path, args));
    if (found == Listener::kOurShim) return claim;
    if (found == Listener::kOtherShim) {
      if (group == args.id) {
        return Error::Make(Code::kAlreadyExists,
                           "listen on {}: another runtime's shim serves container {}", claim.path,
                           args.id);
      }
      return ClaimSocket(directory, args, args.id);
    }
    nanosleep(&kClaimPause, nullptr);
  }
  return Error::Make(Code::kUnavailable,
                     "listen on {}: the shim there is ending but does not let go", claim.path);
}

base::Result<std::string> OwnExecutable() {
  std::string path(PATH_MAX, '\0');
  const ssize_t length = readlink("/proc/self/exe", path.data(), path.size());
  if (length <= 0) return Error::FromErrno("read /proc/self/exe");
  path.resize(static_cast<size_t>(length));
  // Replaced while it runs: the name is no longer good, the link still is.
  constexpr std::string_view kDeleted = " (deleted)";
  if (path.size() > kDeleted.size() &&
      path.compare(path.size() - kDeleted.size(), path.npos, kDeleted) == 0) {
    return std::string("/proc/self/exe");
  }
  return path;
}

// A shim is to be killed before containerd: its score is that of containerd, our parent, plus one.
// Set on ourselves, so that the serving process is born with it.
base::Status AdjustOomScore() {
  const std::string parent = fmt::format("/proc/{}/oom_score_adj", getppid());
  ASSIGN_OR_RETURN(const std::string text, base::ReadPseudoFile(parent, kOomScoreBytesMax));
  int score = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), score).ec != std::errc()) {
    return Error::Make(Code::kInternal, "read {}: not a number", parent);
  }
  const base::UniqueFd file(open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  if (!file.is_open()) return Error::FromErrno("open /proc/self/oom_score_adj");
  return base::WriteAll(file.get(), std::to_string(std::min(score + 1, kOomScoreAdjMax)));
}

// Core scheduling: a cookie of our own for this process group, inherited by what we start
// (containerd's SCHED_CORE=1).
base::Status ShareCoresOnlyWithOurselves() {
  const char* wanted = getenv("SCHED_CORE");
  if (wanted == nullptr || *wanted == '\0') return base::OkStatus();
  constexpr unsigned long kScopeProcessGroup = 2;  // enum pid_type: PIDTYPE_PGID
  if (prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, 0, kScopeProcessGroup, 0) != 0) {
    return Error::FromErrno("enable core scheduling");
  }
  return base::OkStatus();
}

base::Status Launch(const Args& args, const StartInput& input, const base::UniqueFd& listener) {
  ASSIGN_OR_RETURN(std::string executable, OwnExecutable());
  RETURN_IF_ERROR(AdjustOomScore());
  RETURN_IF_ERROR(ShareCoresOnlyWithOurselves());
  base::SpawnOptions options;
  options.argv = {
      std::move(executable), "-namespace", args.containerd_namespace, "-id", args.id, "-address",
      args.address};
  if (args.is_debug || input.is_debug) options.argv.emplace_back("-debug");
  options.descriptors = {{listener.get(), kListenerFd}};
  options.new_process_group = true;
  ASSIGN_OR_RETURN(const base::SpawnedProcess serving, base::Spawn(options));
  if (input.shim_cgroup.empty()) return base::OkStatus();
  auto joined = JoinShimCgroup(serving.pid, input.shim_cgroup, "/sys/fs/cgroup");
  if (!joined) {
    kill(serving.pid, SIGKILL);
    waitpid(serving.pid, nullptr, 0);
  }
  return joined;
}

// containerd 2.3 removes leftover sockets by this link.
base::Status LinkSocketDirectory(const StartInput& input) {
  if (input.socket_directory.empty()) return base::OkStatus();
  if (symlink(input.socket_directory.c_str(), "s") != 0 && errno != EEXIST) {
    return Error::FromErrno("link s to {}", input.socket_directory);
  }
  return base::OkStatus();
}

}  // namespace

base::Result<StartInput> ParseStartInput(std::string_view bytes, const Args& args) {
  if (bytes.empty()) return StartInput();
  const auto length = static_cast<int>(bytes.size());
  containerd::runc::BootstrapParams params;
  if (params.ParseFromArray(bytes.data(), length) && params.instance_id() == args.id &&
      params.namespace_() == args.containerd_namespace) {
    return FromBootstrapParams(params);
  }
  containerd::wire::Any any;
  if (!any.ParseFromArray(bytes.data(), length)) {
    return Error(Code::kInvalidArgument,
                 "read start parameters: neither options nor bootstrap parameters");
  }
  StartInput input;
  ASSIGN_OR_RETURN(input.shim_cgroup, CgroupFromOptions(any));
  return input;
}

std::string SocketPath(const std::string& directory, const Args& args, std::string_view group) {
  return directory + "/" +
         base::Sha256Hex(CleanJoin({args.address, args.containerd_namespace, group}));
}

base::Result<std::string> Start(const Args& args, std::string_view input_bytes) {
  ASSIGN_OR_RETURN(const StartInput input, ParseStartInput(input_bytes, args));
  ASSIGN_OR_RETURN(const std::string spec, base::ReadFile("config.json", kSpecBytesMax));
  ASSIGN_OR_RETURN(const SpecSummary summary, SummarizeSpec(spec));
  const std::string directory =
      input.socket_directory.empty() ? kDefaultSocketDirectory : input.socket_directory;
  ASSIGN_OR_RETURN(const Claim claim, ClaimSocket(directory, args, GroupOf(summary, args.id)));
  base::Cleanup give_back([&claim] {
    if (claim.listener.is_open()) unlink(claim.path.c_str());
  });
  const std::string address = "unix://" + claim.path;
  RETURN_IF_ERROR(base::ReplaceFile("address", address, 0600, /*durable=*/false));
  RETURN_IF_ERROR(LinkSocketDirectory(input));
  if (claim.listener.is_open()) RETURN_IF_ERROR(Launch(args, input, claim.listener));
  give_back.Cancel();
  return address;
}

int RunStart(const Args& args) {
  auto input = base::ReadAll(STDIN_FILENO, kInputBytesMax);
  auto address = input ? Start(args, *input) : base::Result<std::string>(std::move(input).error());
  base::Status outcome;
  if (address) {
    outcome = base::WriteAll(STDOUT_FILENO, *address);
  } else {
    outcome = std::move(address).error();
  }
  if (outcome) return EXIT_SUCCESS;
  std::string line = "start shim: " + outcome.error().message();
  std::replace(line.begin(), line.end(), '\n', ' ');
  line += '\n';
  (void)base::WriteAll(STDERR_FILENO, line);  // nobody is left to be told
  return EXIT_FAILURE;
}

}  // namespace bulwark::shim
