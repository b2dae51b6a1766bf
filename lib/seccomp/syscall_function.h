// A profile taken apart into one function per system call, with the quirks of profile.h resolved: what profile_merge
// computes on. Where libseccomp's behaviour is not defined (overlapping conditional rules with different actions), the
// strictest possible outcome is assumed. Pure.
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
  // Set: the outcome for all arguments, and `regions` is empty. Not set: the first region that fits, else the default.
  std::optional<Outcome> constant;
  // Regions that overlap have equal outcomes.
  std::vector<Region> regions;
  // The rules were too many to keep apart; `constant` is the strictest of them.
  bool is_collapsed = false;
};

using SyscallFunctions = std::map<std::string, SyscallFunction>;

// Only system calls that some rule changes from the default.
SyscallFunctions TakeApart(const Profile& profile, size_t regions_max);

// Gives overlapping regions the strictest of their outcomes, until nothing changes. True if anything did.
bool LevelOverlaps(std::vector<Region>& regions);

// The conjunctions of one rule: one, or each condition alone if an argument is named twice.
Disjunction ConjunctionsOf(const std::vector<ArgCondition>& args);

// The stricter one; of equal actions the first.
const Outcome& StricterOf(const Outcome& a, const Outcome& b);

}  // namespace bulwark::seccomp
