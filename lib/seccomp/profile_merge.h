// The intersection of two seccomp profiles as one profile: for every call, the result is at least as strict as either
// input (in the order of enum Action), under the semantics described in profile.h. Where the exact intersection cannot be
// written as an OCI profile, the result is stricter, never looser, and says so.
//
// Semantics: a profile is a function from (system call, arguments) to an outcome; the result is the stricter of the two,
// point by point.
//   - The default is the stricter default. Of two errno outcomes, an explicit rule's errno wins over a default's, else
//     the first profile's; clone3 keeps ENOSYS whenever it is refused by errno, or glibc's fallback to clone fails.
//   - Conditions are multiplied out: (A1 or A2) and (B1 or B2). Two conditions on one argument, which libseccomp cannot
//     hold in one rule, are reduced to one where they imply, exclude or sharpen each other.
//   - What cannot be reduced, grows beyond kRulesPerSyscallMax, or could hang libseccomp in the runtime, becomes an unconditional ERRNO(EPERM) for that system
//     call (or stricter, if an input may be), and is named in `unmergeable`.
//   - Rules with different actions for one system call in one input, which libseccomp 2.5.4 does not combine reliably,
//     count as the strictest of them and the default. The result never has such rules.
//   - Architectures and flags are intersected; the native architecture always stays. Calls of an architecture that is not
//     listed kill the thread, even if an input would kill the process: OCI cannot say otherwise. A 32-bit architecture on which
//     socketcall(2) or ipc(2) stand for several system calls is dropped if the two profiles treat these calls and their
//     parts differently, and any 32-bit one if a condition exceeds 32 bits; all its calls are killed then.
//   - x32 is always dropped: for x86-64 with x32 and a rule for a system call that x86-64 does not have (socketcall),
//     libseccomp 2.5.4 forgets to load the number, and the program decides on the architecture token instead.
//   - With two different listeners, calls that either would notify are refused.
//
// Pure; any thread. kFailedPrecondition only if the native architecture itself would have to be dropped.
#pragma once

#include <string>
#include <vector>

#include "lib/base/result.h"
#include "lib/seccomp/profile.h"

namespace bulwark::seccomp {

inline constexpr size_t kRulesPerSyscallMax = 64;

struct MergedProfile {
  Profile profile;                       // one action per system call besides the default's
  std::vector<std::string> unmergeable;  // system calls refused because their conditions cannot be intersected
  std::vector<std::string> notes;        // for people: dropped architectures, replaced listeners
};

base::Result<MergedProfile> Intersect(const Profile& a, const Profile& b);

}  // namespace bulwark::seccomp
