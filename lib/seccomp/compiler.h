// Compiles a profile to the classic BPF program that runc and crun would load for it, with libseccomp, which they use
// too: for validation before use, and for tests that run the program in bpf_evaluator.h. Loads nothing into any process.
// The program travels through an anonymous memory file, the only way libseccomp 2.5 exports one. Any thread.
#pragma once

#include <linux/filter.h>

#include <string>
#include <vector>

#include "lib/base/result.h"
#include "lib/seccomp/profile.h"

namespace bulwark::seccomp {

struct CompiledProfile {
  std::vector<sock_filter> program;
  std::vector<std::string> unknown_names;  // ignored, as the runtimes do
};

// kInvalidArgument for an architecture libseccomp does not know, a rule it refuses, conditions it cannot be trusted with
// (IsSafeForLibseccomp), or conditions on socketcall or ipc, over which it can loop as well; kInternal if it fails
// otherwise; kResourceExhausted above the kernel's 4096 instructions (BPF_MAXINSNS).
base::Result<CompiledProfile> Compile(const Profile& profile);

// AUDIT_ARCH_* of an OCI name ("SCMP_ARCH_X86_64"); kInvalidArgument if libseccomp does not know it.
base::Result<uint32_t> AuditArchitecture(std::string_view name);
// The number of a system call on an architecture; kNotFound if it has none of that name.
base::Result<int> SyscallNumber(std::string_view architecture, const std::string& syscall_name);

}  // namespace bulwark::seccomp
