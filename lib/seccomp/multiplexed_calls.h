// socketcall(2) and ipc(2): on some architectures one system call that stands for many, told apart by its first
// argument. libseccomp turns a rule for, say, socket into one for socketcall there; a rule for socketcall itself then
// hides it. An intersection by name alone could become looser than its inputs on such an architecture. Pure.
#pragma once

#include <string_view>

#include "lib/seccomp/syscall_function.h"

namespace bulwark::seccomp {

bool IsMultiplexedCall(std::string_view name);          // socketcall, ipc
bool IsMultiplexedArchitecture(std::string_view name);  // "SCMP_ARCH_X86"

// One input of an intersection.
struct TakenApart {
  SyscallFunctions functions;
  Outcome default_outcome;
};

// Whether intersecting a and b name by name stays right on such architectures, where libseccomp also ignores a part's
// conditions: the arguments are in memory. `merged` holds the result's rules.
bool MultiplexedCallsAgree(const TakenApart& a, const TakenApart& b, const SyscallFunctions& merged);

}  // namespace bulwark::seccomp
