#include <algorithm>
#include <array>
#include <utility>

#include "lib/seccomp/profile_json.h"

namespace bulwark::seccomp {

using base::Code;
using base::Error;

namespace {

constexpr std::array<std::pair<std::string_view, Action>, 9> kActions = {{
    {"SCMP_ACT_ALLOW", Action::kAllow},
    {"SCMP_ACT_LOG", Action::kLog},
    {"SCMP_ACT_TRACE", Action::kTrace},
    {"SCMP_ACT_NOTIFY", Action::kNotify},
    {"SCMP_ACT_ERRNO", Action::kErrno},
    {"SCMP_ACT_TRAP", Action::kTrap},
    {"SCMP_ACT_KILL_THREAD", Action::kKillThread},
    {"SCMP_ACT_KILL_PROCESS", Action::kKillProcess},
    {"SCMP_ACT_KILL", Action::kKillThread},  // libseccomp's older name
}};

}  // namespace

std::string_view ActionName(Action action) {
  for (const auto& [name, value] : kActions) {
    if (value == action) return name;
  }
  return {};
}

base::Result<Action> ParseAction(std::string_view name) {
  for (const auto& [known, value] : kActions) {
    if (known == name) return value;
  }
  return Error::Make(Code::kInvalidArgument, "unknown seccomp action \"{}\"", name.substr(0, 80));
}

std::string_view CompareOpName(CompareOp op) {
  switch (op) {
    case CompareOp::kEqual: return "SCMP_CMP_EQ";
    case CompareOp::kNotEqual: return "SCMP_CMP_NE";
    case CompareOp::kLess: return "SCMP_CMP_LT";
    case CompareOp::kLessOrEqual: return "SCMP_CMP_LE";
    case CompareOp::kGreater: return "SCMP_CMP_GT";
    case CompareOp::kGreaterOrEqual: return "SCMP_CMP_GE";
    case CompareOp::kMaskedEqual: return "SCMP_CMP_MASKED_EQ";
  }
  return {};
}

std::string_view NativeArchitecture() {
#if defined(__x86_64__)
  return "SCMP_ARCH_X86_64";
#elif defined(__aarch64__)
  return "SCMP_ARCH_AARCH64";
#elif defined(__riscv)
  return "SCMP_ARCH_RISCV64";
#elif defined(__s390x__)
  return "SCMP_ARCH_S390X";
#elif defined(__powerpc64__)
  return "SCMP_ARCH_PPC64LE";
#else
#error "name this architecture as libseccomp does"
#endif
}

}  // namespace bulwark::seccomp
