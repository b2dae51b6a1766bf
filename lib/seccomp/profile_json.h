// Seccomp profiles as JSON text, both ways. Two dialects are read by the same function, since they share their core:
//   - linux.seccomp of the OCI runtime spec (config-linux.md, "Seccomp");
//   - the profile files of Docker and containers-common, which add archMap, name (one syscall), comment, errno by name,
//     and includes / excludes by architecture, capability and minimum kernel version.
// Entries that the context excludes are dropped while reading. Printing gives the OCI dialect only.
//
// Pure; any thread. Errors: kInvalidArgument for malformed text, unknown actions, operators, or conditions (an argument
// index above 5), kResourceExhausted for more than 1 MiB, 20,000 names or 4,096 rules.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "lib/oci/json_document.h"
#include "lib/seccomp/profile.h"

namespace bulwark::seccomp {

// What includes and excludes are judged by.
struct ProfileContext {
  std::string architecture;               // Go's name, "amd64"; empty: that of this machine
  std::vector<std::string> capabilities;  // the container's, "CAP_SYS_ADMIN"
  uint32_t kernel_major = 4;              // of includes.minKernel
  uint32_t kernel_minor = 8;
};

base::Result<Profile> ParseProfile(std::string_view json, const ProfileContext& context = {});
base::Result<Profile> ParseProfile(oci::JsonValue json, const ProfileContext& context = {});

// Compact OCI linux.seccomp JSON.
std::string PrintProfile(const Profile& profile);

// "SCMP_ACT_ERRNO" and the like. "SCMP_ACT_KILL" is SCMP_ACT_KILL_THREAD.
std::string_view ActionName(Action action);
base::Result<Action> ParseAction(std::string_view name);
std::string_view CompareOpName(CompareOp op);

// "SCMP_ARCH_X86_64" on amd64.
std::string_view NativeArchitecture();

}  // namespace bulwark::seccomp
