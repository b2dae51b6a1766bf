#include "lib/seccomp/compiler.h"

#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>

#include "lib/base/unique_fd.h"
#include "lib/seccomp/multiplexed_calls.h"
#include "lib/seccomp/profile_json.h"
#include "lib/seccomp/syscall_function.h"

namespace bulwark::seccomp {

using base::Code;
using base::Error;
using base::Result;

namespace {

struct ReleaseFilter {
  void operator()(void* filter) const { seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, ReleaseFilter>;

uint32_t ScmpAction(const Outcome& outcome) {
  const uint32_t value = outcome.value & 0xffffu;
  switch (outcome.action) {
    case Action::kAllow: return SCMP_ACT_ALLOW;
    case Action::kLog: return SCMP_ACT_LOG;
    case Action::kTrace: return SCMP_ACT_TRACE(value);
    case Action::kNotify: return SCMP_ACT_NOTIFY;
    case Action::kErrno: return SCMP_ACT_ERRNO(value);
    case Action::kTrap: return SCMP_ACT_TRAP;
    case Action::kKillThread: return SCMP_ACT_KILL_THREAD;
    case Action::kKillProcess: return SCMP_ACT_KILL_PROCESS;
  }
  return SCMP_ACT_KILL_PROCESS;
}

scmp_arg_cmp ScmpCondition(const ArgCondition& condition) {
  constexpr scmp_compare kOps[] = {SCMP_CMP_EQ, SCMP_CMP_NE, SCMP_CMP_LT,       SCMP_CMP_LE,
                                   SCMP_CMP_GT, SCMP_CMP_GE, SCMP_CMP_MASKED_EQ};
  scmp_arg_cmp scmp = {};
  scmp.arg = condition.index;
  scmp.op = kOps[static_cast<size_t>(condition.op)];
  scmp.datum_a = condition.value;
  scmp.datum_b = condition.value_two;
  return scmp;
}

// OCI's "SCMP_ARCH_X86_64" is libseccomp's "x86_64".
Result<uint32_t> ArchitectureToken(std::string_view name) {
  constexpr std::string_view kPrefix = "SCMP_ARCH_";
  std::string lower(name.substr(0, kPrefix.size()) == kPrefix ? name.substr(kPrefix.size())
                                                              : std::string_view());
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  const uint32_t token = lower.empty() ? 0 : seccomp_arch_resolve_name(lower.c_str());
  if (token == 0) {
    return Error::Make(Code::kInvalidArgument, "unknown architecture \"{}\"", name.substr(0, 80));
  }
  return token;
}

base::Status AddRule(const Filter& filter, const std::string& name, int number,
                     const Outcome& outcome, const Conjunction& where) {
  std::vector<scmp_arg_cmp> conditions;
  for (const ArgCondition& condition : where) conditions.push_back(ScmpCondition(condition));
  const int rc =
      seccomp_rule_add_array(filter.get(), ScmpAction(outcome), number,
                             static_cast<unsigned>(conditions.size()), conditions.data());
  if (rc == 0 || rc == -EEXIST) return base::OkStatus();  // the same again
  return Error::Make(Code::kInvalidArgument, "seccomp rule for {}: {}", name, strerror(-rc));
}

// Refuses what libseccomp might never return from.
base::Status CheckConditions(const Profile& profile) {
  std::map<std::string_view, std::vector<Conjunction>> conditions;
  for (const Rule& rule : profile.rules) {
    if (rule.args.empty()) continue;
    const Disjunction all = ConjunctionsOf(rule.args);
    for (const std::string& name : rule.names) {
      auto& of_name = conditions[name];
      of_name.insert(of_name.end(), all.begin(), all.end());
    }
  }
  for (const auto& [name, all] : conditions) {
    if (!IsSafeForLibseccomp(all) || IsMultiplexedCall(name)) {
      return Error::Make(Code::kInvalidArgument,
                         "seccomp rules for {}: libseccomp cannot be trusted with their conditions",
                         name.substr(0, 64));
    }
  }
  return base::OkStatus();
}

Result<std::vector<sock_filter>> Export(const Filter& filter) {
  const base::UniqueFd file(memfd_create("seccomp-filter", MFD_CLOEXEC));
  if (file.get() < 0) return Error::FromErrno("memfd_create");
  if (const int rc = seccomp_export_bpf(filter.get(), file.get()); rc != 0) {
    return Error::Make(Code::kInternal, "exporting seccomp filter: {}", strerror(-rc));
  }
  struct stat status = {};
  if (fstat(file.get(), &status) != 0) return Error::FromErrno("fstat of seccomp filter");
  const size_t count = static_cast<size_t>(status.st_size) / sizeof(sock_filter);
  if (count > BPF_MAXINSNS) {
    return Error::Make(Code::kResourceExhausted, "seccomp filter of {} instructions", count);
  }
  std::vector<sock_filter> program(count);
  const ssize_t got = pread(file.get(), program.data(), count * sizeof(sock_filter), 0);
  if (got != status.st_size) return Error(Code::kInternal, "short read of seccomp filter");
  return program;
}

}  // namespace

Result<CompiledProfile> Compile(const Profile& profile) {
  const Filter filter(seccomp_init(ScmpAction(profile.default_outcome)));
  if (filter == nullptr) return Error(Code::kInternal, "creating seccomp filter");
  for (const std::string& architecture : profile.architectures) {
    ASSIGN_OR_RETURN(const uint32_t token, ArchitectureToken(architecture));
    const int rc = seccomp_arch_add(filter.get(), token);
    if (rc != 0 && rc != -EEXIST) {
      return Error::Make(Code::kInvalidArgument, "adding architecture {}: {}", architecture,
                         strerror(-rc));
    }
  }
  CompiledProfile compiled;
  RETURN_IF_ERROR(CheckConditions(profile));
  for (const Rule& rule : profile.rules) {
    if (rule.outcome == profile.default_outcome) continue;
    for (const std::string& name : rule.names) {
      const int number = seccomp_syscall_resolve_name(name.c_str());
      if (number == __NR_SCMP_ERROR) {
        compiled.unknown_names.push_back(name);
        continue;
      }
      for (const Conjunction& where : ConjunctionsOf(rule.args)) {
        RETURN_IF_ERROR(AddRule(filter, name, number, rule.outcome, where));
      }
    }
  }
  ASSIGN_OR_RETURN(compiled.program, Export(filter));
  return compiled;
}

Result<uint32_t> AuditArchitecture(std::string_view name) {
  ASSIGN_OR_RETURN(const uint32_t token, ArchitectureToken(name));
  // libseccomp's tokens are the kernel's, except for x32, which the kernel reports as x86_64.
  return token == SCMP_ARCH_X32 ? uint32_t{SCMP_ARCH_X86_64} : token;
}

Result<int> SyscallNumber(std::string_view architecture, const std::string& syscall_name) {
  ASSIGN_OR_RETURN(const uint32_t token, ArchitectureToken(architecture));
  const int number = seccomp_syscall_resolve_name_arch(token, syscall_name.c_str());
  if (number < 0) {
    return Error::Make(Code::kNotFound, "system call {} on {}", syscall_name, architecture);
  }
  return number;
}

}  // namespace bulwark::seccomp
