#include "lib/base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "lib/base/cleanup.h"

// The child shares our memory until execve, so nothing that keeps books on memory or threads may
// run in it: its code is not instrumented by sanitizers, and it makes system calls only through
// syscall(2), which sanitizers do not intercept.
#define BULWARK_CHILD_CODE __attribute__((no_sanitize("address", "thread", "undefined"), noinline))

// glibc's clone(2) by its second name: ThreadSanitizer takes every call by the first name for a
// fork, which it is not.
extern "C" int __clone(int (*run)(void*), void* stack_top, int flags, void* argument, ...);

namespace bulwark::base {
namespace {

constexpr size_t kChildStackBytes = 64 * 1024;
constexpr int kSignalMax = 64;        // _NSIG of the kernel
constexpr size_t kSignalSetBytes = 8;  // its sigset_t

struct Mapping {
  int source = -1;
  int target = -1;
};

// The kernel's struct sigaction; all zero is SIG_DFL with no flags on every architecture.
struct KernelSigaction {
  uint64_t words[4];
};

// struct rlimit64 of the kernel (getrlimit(2), prlimit64).
struct KernelLimit {
  uint64_t soft = 0;
  uint64_t hard = 0;
};

// What children get back; set by RaiseDescriptorLimit. The hard limit is as it was.
std::optional<KernelLimit> child_descriptor_limit;

// Everything the child needs, prepared by the parent: the child allocates nothing.
struct ChildPlan {
  const char* program = nullptr;
  char* const* argv = nullptr;
  char* const* envp = nullptr;
  const char* working_directory = nullptr;
  Mapping* mappings = nullptr;  // sorted by target
  size_t mapping_count = 0;
  bool new_process_group = false;
  int parent_death_signal = 0;
  pid_t parent = 0;
  const KernelLimit* descriptor_limit = nullptr;  // null: inherit ours
  // Written by the child, which shares our memory; read after it has gone.
  volatile int failed_errno = 0;
  const char* volatile failed_step = nullptr;
};

BULWARK_CHILD_CODE void Fail(ChildPlan* plan, const char* step) {
  plan->failed_errno = errno;
  plan->failed_step = step;
  syscall(SYS_exit_group, 127);
}

// First moves every source above all targets, so that no target overwrites a source still needed
// ({5,0},{0,5}).
BULWARK_CHILD_CODE void MapDescriptors(ChildPlan* plan) {
  const int first_free = plan->mappings[plan->mapping_count - 1].target + 1;
  for (size_t i = 0; i < plan->mapping_count; ++i) {
    const long moved = syscall(SYS_fcntl, plan->mappings[i].source, F_DUPFD_CLOEXEC, first_free);
    if (moved < 0) Fail(plan, "duplicate descriptor");
    plan->mappings[i].source = static_cast<int>(moved);
  }
  unsigned next_to_close = 0;
  for (size_t i = 0; i < plan->mapping_count; ++i) {
    const auto target = static_cast<unsigned>(plan->mappings[i].target);
    if (syscall(SYS_dup3, plan->mappings[i].source, target, 0) < 0) Fail(plan, "map descriptor");
    if (target > next_to_close && syscall(SYS_close_range, next_to_close, target - 1, 0) != 0) {
      Fail(plan, "close descriptors");
    }
    next_to_close = target + 1;
  }
  if (syscall(SYS_close_range, next_to_close, ~0U, 0) != 0) Fail(plan, "close descriptors");
}

BULWARK_CHILD_CODE int RunChild(void* argument) {
  auto* plan = static_cast<ChildPlan*>(argument);
  const KernelSigaction defaults = {};
  for (int signal = 1; signal <= kSignalMax; ++signal) {
    // SIGKILL and SIGSTOP refuse, and have their default anyway.
    syscall(SYS_rt_sigaction, signal, &defaults, nullptr, kSignalSetBytes);
  }
  if (plan->new_process_group && syscall(SYS_setpgid, 0, 0) != 0) Fail(plan, "set process group");
  if (plan->parent_death_signal != 0) {
    if (syscall(SYS_prctl, PR_SET_PDEATHSIG, plan->parent_death_signal, 0, 0, 0) != 0) {
      Fail(plan, "set parent death signal");
    }
    // A parent that died before the prctl sends nothing any more.
    if (syscall(SYS_getppid) != plan->parent) syscall(SYS_exit_group, 127);
  }
  if (plan->working_directory != nullptr && syscall(SYS_chdir, plan->working_directory) != 0) {
    Fail(plan, "enter working directory");
  }
  MapDescriptors(plan);
  // After the descriptors are mapped: the moves above may need numbers beyond the lower limit.
  if (plan->descriptor_limit != nullptr &&
      syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, plan->descriptor_limit, nullptr) != 0) {
    Fail(plan, "restore descriptor limit");
  }
  const uint64_t no_signals = 0;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &no_signals, nullptr, kSignalSetBytes);
  syscall(SYS_execve, plan->program, plan->argv, plan->envp);
  Fail(plan, "execute");
  return 127;
}

bool HasNul(const std::vector<std::string>& strings) {
  return std::any_of(strings.begin(), strings.end(), [](const std::string& text) {
    return text.find('\0') != std::string::npos;
  });
}

Result<std::string> FindProgram(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* path = getenv("PATH");
  std::string_view rest = path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path;
  while (!rest.empty()) {
    const size_t colon = rest.find(':');
    const std::string_view directory = rest.substr(0, colon);
    rest = colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1);
    if (directory.empty() || directory.front() != '/') continue;
    std::string candidate = fmt::format("{}/{}", directory, name);
    struct stat info {};
    if (stat(candidate.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
        faccessat(AT_FDCWD, candidate.c_str(), X_OK, AT_EACCESS) == 0) {
      return candidate;
    }
  }
  return Error::Make(Code::kNotFound, "spawn {}: not found in PATH", name);
}

std::vector<char*> PointersTo(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (const std::string& text : strings) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// The mappings asked for plus /dev/null for whatever of 0, 1 and 2 is missing, sorted by target.
Result<std::vector<Mapping>> PlanMappings(const SpawnOptions& options, UniqueFd& null_device) {
  std::vector<Mapping> mappings;
  mappings.reserve(options.descriptors.size() + 3);
  for (const auto& [source, target] : options.descriptors) mappings.push_back({source, target});
  for (int standard = 0; standard <= 2; ++standard) {
    const bool mapped = std::any_of(mappings.begin(), mappings.end(),
                                    [&](const Mapping& m) { return m.target == standard; });
    if (mapped) continue;
    if (!null_device.is_open()) null_device.Reset(open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!null_device.is_open()) return Error::FromErrno("open /dev/null");
    mappings.push_back({null_device.get(), standard});
  }
  std::sort(mappings.begin(), mappings.end(),
            [](const Mapping& a, const Mapping& b) { return a.target < b.target; });
  for (size_t i = 0; i < mappings.size(); ++i) {
    const bool twice = i > 0 && mappings[i].target == mappings[i - 1].target;
    if (twice || mappings[i].source < 0 || mappings[i].target < 0) {
      return Error::Make(Code::kInvalidArgument, "spawn {}: bad descriptor mapping {} to {}",
                         options.argv[0], mappings[i].source, mappings[i].target);
    }
  }
  return mappings;
}

void ReapFailed(const UniqueFd& pidfd) {
  siginfo_t info;
  while (waitid(P_PIDFD, static_cast<id_t>(pidfd.get()), &info, WEXITED) != 0 && errno == EINTR) {
  }
}

// Clones with every signal blocked: a handler of ours must not run in the child, which shares our
// memory.
Result<SpawnedProcess> CloneChild(ChildPlan& plan) {
  void* stack = mmap(nullptr, kChildStackBytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) return Error::FromErrno("map child stack");
  const Cleanup unmap([stack] { munmap(stack, kChildStackBytes); });
  uint64_t all_signals = ~uint64_t{0};
  uint64_t old_signals = 0;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all_signals, &old_signals, kSignalSetBytes);
  int pidfd = -1;
  const pid_t pid = __clone(RunChild, static_cast<char*>(stack) + kChildStackBytes,
                            CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &plan, &pidfd);
  const int saved = errno;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old_signals, nullptr, kSignalSetBytes);
  if (pid < 0) return Error::WithErrno(saved, "clone");
  SpawnedProcess process;
  process.pid = pid;
  process.pidfd.Reset(pidfd);
  return process;
}

}  // namespace

Result<SpawnedProcess> Spawn(const SpawnOptions& options) {
  if (options.argv.empty() || HasNul(options.argv) ||
      (options.environment && HasNul(*options.environment))) {
    return Error(Code::kInvalidArgument, "spawn: argv is empty, or a string contains NUL");
  }
  ASSIGN_OR_RETURN(const std::string program, FindProgram(options.argv[0]));
  UniqueFd null_device;
  ASSIGN_OR_RETURN(std::vector<Mapping> mappings, PlanMappings(options, null_device));
  const std::vector<char*> argv = PointersTo(options.argv);
  std::vector<char*> envp;
  if (options.environment) envp = PointersTo(*options.environment);

  ChildPlan plan;
  plan.program = program.c_str();
  plan.argv = argv.data();
  plan.envp = options.environment ? envp.data() : environ;
  if (!options.working_directory.empty()) {
    plan.working_directory = options.working_directory.c_str();
  }
  plan.mappings = mappings.data();
  plan.mapping_count = mappings.size();
  plan.new_process_group = options.new_process_group;
  plan.parent_death_signal = options.parent_death_signal;
  plan.parent = getpid();
  if (child_descriptor_limit) plan.descriptor_limit = &*child_descriptor_limit;

  auto process = CloneChild(plan);
  if (!process) return std::move(process).error().Wrap("spawn {}", options.argv[0]);
  if (plan.failed_step != nullptr) {
    ReapFailed(process->pidfd);
    return Error::WithErrno(plan.failed_errno,
                            fmt::format("spawn {}: {}", options.argv[0], plan.failed_step));
  }
  return process;
}

Status RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return Error::FromErrno("get descriptor limit");
  if (limit.rlim_cur == limit.rlim_max) return OkStatus();
  const KernelLimit inherited = {limit.rlim_cur, limit.rlim_max};
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return Error::FromErrno("raise descriptor limit");
  child_descriptor_limit = inherited;
  return OkStatus();
}

int ExitStatusFromWait(int wait_status) {
  if (WIFEXITED(wait_status)) return WEXITSTATUS(wait_status);
  if (WIFSIGNALED(wait_status)) return 128 + WTERMSIG(wait_status);
  return 255;
}

}  // namespace bulwark::base
