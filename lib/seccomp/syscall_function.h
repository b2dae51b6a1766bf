// A profile taken apart into one function per system call, with the quirks of profile.h resolved: what profile_merge
// computes on. What libseccomp makes of several rules with different actions for one system call depends on their order
// and on the architectures, and it may lose some; the strictest possible outcome is assumed then. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/seccomp/arg_conditions.h"
#include "lib/seccomp/profile.h"

namespace bulwark::seccomp {

// Where the arguments lie, and what happens to a call there.
struct Region {
  Conjunction where;
  Outcome outcome;
};

struct SyscallFunction {
  // Set: the outcome for all arguments, and `regions` is empty. Not set: that of the regions, else the default.
  std::optional<Outcome> constant;
  std::vector<Region> regions;  // all with the same outcome
  // The rules were too many to keep apart; `constant` is the strictest of them.
  bool is_collapsed = false;
};

using SyscallFunctions = std::map<std::string, SyscallFunction>;

// Only system calls that some rule changes from the default.
SyscallFunctions TakeApart(const Profile& profile, size_t regions_max);

// Gives all regions the strictest of their outcomes. True if they differed.
bool LevelOutcomes(std::vector<Region>& regions);

// The conjunctions of one rule: one, or each condition alone if an argument is named twice.
Disjunction ConjunctionsOf(const std::vector<ArgCondition>& args);

// The stricter one; of equal actions the first.
const Outcome& StricterOf(const Outcome& a, const Outcome& b);

}  // namespace bulwark::seccomp
