// Plain data: a seccomp profile as OCI runtimes understand it (runtime-spec, config-linux.md, "Seccomp"), with names
// instead of numbers, and the semantics runc 1.1 and crun 1.8 give it through libseccomp 2.5:
//   - a rule whose action equals the default action is skipped;
//   - conditions of one rule are AND-ed, unless two of them name the same argument: then each condition of that rule
//     becomes a rule of its own, OR-ed (runc #2735);
//   - several rules for one system call with different actions: undefined; libseccomp picks one by the shape of its tree, or
//     loses one, and an unconditional rule may or may not hide a conditional one;
//   - names that libseccomp does not know are ignored;
//   - an architecture that is not listed is killed; the native one is always listed.
#pragma once

#include <stdint.h>

#include <optional>
#include <string>
#include <vector>

namespace bulwark::seccomp {

// From loosest to strictest, in the kernel's order of precedence between filters (seccomp(2), SECCOMP_RET_*).
enum class Action { kAllow, kLog, kTrace, kNotify, kErrno, kTrap, kKillThread, kKillProcess };

// What happens to a call. `value` is the errno of kErrno, the message of kTrace, and 0 otherwise.
struct Outcome {
  Action action = Action::kErrno;
  uint32_t value = 1;

  bool operator==(const Outcome& other) const = default;
};

enum class CompareOp { kEqual, kNotEqual, kLess, kLessOrEqual, kGreater, kGreaterOrEqual, kMaskedEqual };

// One comparison of a system call's argument, unsigned. For kMaskedEqual: (argument & value) == value_two.
struct ArgCondition {
  uint32_t index = 0;  // 0 to 5
  CompareOp op = CompareOp::kEqual;
  uint64_t value = 0;
  uint64_t value_two = 0;  // kMaskedEqual only

  bool operator==(const ArgCondition& other) const = default;
};

struct Rule {
  std::vector<std::string> names;
  Outcome outcome;
  std::vector<ArgCondition> args;
};

struct Profile {
  Outcome default_outcome;
  std::vector<std::string> architectures;  // "SCMP_ARCH_X86_64"; the native one is implied
  std::vector<std::string> flags;          // "SECCOMP_FILTER_FLAG_LOG"
  std::string listener_path;               // of the agent that answers kNotify; empty: none
  std::string listener_metadata;
  std::vector<Rule> rules;
};

inline bool IsStricter(const Outcome& a, const Outcome& b) { return a.action > b.action; }

}  // namespace bulwark::seccomp
