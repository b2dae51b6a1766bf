#include "lib/seccomp/multiplexed_calls.h"

#include <algorithm>
#include <array>

namespace bulwark::seccomp {

namespace {

constexpr std::array<std::string_view, 20> kSocketParts = {
    "socket",     "bind",       "connect",  "listen",  "accept",   "getsockname", "getpeername",
    "socketpair", "send",       "recv",     "sendto",  "recvfrom", "shutdown",    "setsockopt",
    "getsockopt", "sendmsg",    "recvmsg",  "accept4", "recvmmsg", "sendmmsg"};
constexpr std::array<std::string_view, 12> kIpcParts = {
    "semop",  "semget", "semctl", "semtimedop", "msgsnd", "msgrcv",
    "msgget", "msgctl", "shmat",  "shmdt",      "shmget", "shmctl"};

enum class WholeCall { kNoRule, kAllowed, kOther };

WholeCall RuleForWhole(const SyscallFunctions& functions, const std::string& whole) {
  const auto it = functions.find(whole);
  if (it == functions.end()) return WholeCall::kNoRule;
  const bool allowed = it->second.constant.has_value() &&
                       it->second.constant->action == Action::kAllow;
  return allowed ? WholeCall::kAllowed : WholeCall::kOther;
}

template <typename Parts>
bool HasRuleForPart(const SyscallFunctions& functions, const Parts& parts) {
  return std::any_of(parts.begin(), parts.end(), [&](std::string_view part) {
    return functions.count(std::string(part)) > 0;
  });
}

template <typename Parts>
bool HasConditionForPart(const SyscallFunctions& functions, const Parts& parts) {
  return std::any_of(parts.begin(), parts.end(), [&](std::string_view part) {
    const auto it = functions.find(std::string(part));
    return it != functions.end() && !it->second.constant.has_value();
  });
}

// A condition that refuses: without it, the whole part is refused, and the result must not say anything looser.
template <typename Parts>
bool RefusesByCondition(const TakenApart& input, const Parts& parts) {
  return std::any_of(parts.begin(), parts.end(), [&](std::string_view part) {
    const auto it = input.functions.find(std::string(part));
    return it != input.functions.end() && !it->second.regions.empty() &&
           !IsStricter(input.default_outcome, it->second.regions.front().outcome);
  });
}

template <typename Parts>
bool Agrees(const TakenApart& a, const TakenApart& b, const SyscallFunctions& merged,
            const std::string& whole, const Parts& parts) {
  const WholeCall in_a = RuleForWhole(a.functions, whole);
  const WholeCall in_b = RuleForWhole(b.functions, whole);
  const bool a_has_parts = HasRuleForPart(a.functions, parts);
  const bool b_has_parts = HasRuleForPart(b.functions, parts);
  if (!a_has_parts && !b_has_parts) return true;
  if (RefusesByCondition(a, parts) || RefusesByCondition(b, parts)) return false;
  // libseccomp 2.5.4 loses conditional rules for a part after a rule for the whole, on other architectures too.
  if (merged.count(whole) > 0 && HasConditionForPart(merged, parts)) return false;
  if (in_a == WholeCall::kOther || in_b == WholeCall::kOther) return false;
  // Both leave it to the parts, or both allow all parts.
  if (in_a == in_b) return true;
  // One allows the whole, the other decides part by part. Right if the result decides part by part as well.
  const bool decider_has_parts = in_a == WholeCall::kAllowed ? b_has_parts : a_has_parts;
  return merged.count(whole) == 0 || !decider_has_parts;
}

}  // namespace

bool IsMultiplexedCall(std::string_view name) { return name == "socketcall" || name == "ipc"; }

bool IsMultiplexedArchitecture(std::string_view name) {
  constexpr std::string_view kNames[] = {
      "SCMP_ARCH_X86",     "SCMP_ARCH_S390",   "SCMP_ARCH_S390X", "SCMP_ARCH_PPC",
      "SCMP_ARCH_PPC64",   "SCMP_ARCH_PPC64LE", "SCMP_ARCH_MIPS", "SCMP_ARCH_MIPSEL",
      "SCMP_ARCH_PARISC",  "SCMP_ARCH_PARISC64", "SCMP_ARCH_M68K", "SCMP_ARCH_SH",
      "SCMP_ARCH_SHEB"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

bool MultiplexedCallsAgree(const TakenApart& a, const TakenApart& b, const SyscallFunctions& merged) {
  return Agrees(a, b, merged, "socketcall", kSocketParts) && Agrees(a, b, merged, "ipc", kIpcParts);
}

}  // namespace bulwark::seccomp
