// Runs a seccomp filter in user space: an interpreter for the subset of classic BPF that the kernel accepts from
// seccomp(2) (kernel/seccomp.c, seccomp_check_filter; net/core/filter.c, bpf_check_classic). Lets tests and reviewers
// ask what a filter does without a kernel loading it. Pure; any thread.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <vector>

#include "lib/base/result.h"
#include "lib/seccomp/profile.h"

namespace bulwark::seccomp {

// The raw SECCOMP_RET_* value. kInvalidArgument if the program leaves its bounds, uses an instruction the kernel would
// refuse, or does not end in a return. Jumps only go forward, so every run ends.
base::Result<uint32_t> EvaluateRaw(const std::vector<sock_filter>& program, const seccomp_data& data);

// The same as an outcome.
base::Result<Outcome> Evaluate(const std::vector<sock_filter>& program, const seccomp_data& data);

}  // namespace bulwark::seccomp
