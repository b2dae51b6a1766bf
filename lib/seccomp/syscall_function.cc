#include "lib/seccomp/syscall_function.h"

#include <algorithm>

namespace bulwark::seccomp {

namespace {

ArgCondition Canonical(ArgCondition condition) {
  if (condition.op == CompareOp::kMaskedEqual) {
    condition.value_two &= condition.value;  // as libseccomp does
  } else {
    condition.value_two = 0;
  }
  return condition;
}

void AddRule(SyscallFunction& function, const Rule& rule) {
  if (rule.args.empty()) {
    function.constant = function.constant.has_value()
                            ? StricterOf(*function.constant, rule.outcome)
                            : rule.outcome;
    return;
  }
  for (Conjunction& where : ConjunctionsOf(rule.args)) {
    function.regions.push_back(Region{std::move(where), rule.outcome});
  }
}

void Collapse(SyscallFunction& function, const Outcome& default_outcome) {
  Outcome strictest = StricterOf(default_outcome, Outcome{Action::kErrno, 1});
  for (const Region& region : function.regions) strictest = StricterOf(strictest, region.outcome);
  function.constant = strictest;
  function.is_collapsed = true;
}

}  // namespace

Disjunction ConjunctionsOf(const std::vector<ArgCondition>& args) {
  Conjunction all;
  for (const ArgCondition& arg : args) all.push_back(Canonical(arg));
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.index < b.index; });
  const bool repeats = std::adjacent_find(all.begin(), all.end(), [](const auto& a, const auto& b) {
                         return a.index == b.index;
                       }) != all.end();
  if (!repeats) return {all};
  Disjunction alone;
  for (const ArgCondition& condition : all) alone.push_back({condition});
  return alone;
}

const Outcome& StricterOf(const Outcome& a, const Outcome& b) { return IsStricter(b, a) ? b : a; }

bool LevelOutcomes(std::vector<Region>& regions) {
  if (regions.empty()) return false;
  Outcome strictest = regions.front().outcome;
  bool differ = false;
  for (const Region& region : regions) {
    differ = differ || !(region.outcome == strictest);
    strictest = Outcome(StricterOf(strictest, region.outcome));
  }
  for (Region& region : regions) region.outcome = strictest;
  return differ;
}

SyscallFunctions TakeApart(const Profile& profile, size_t regions_max) {
  SyscallFunctions functions;
  for (const Rule& rule : profile.rules) {
    if (rule.outcome == profile.default_outcome) continue;
    for (const std::string& name : rule.names) AddRule(functions[name], rule);
  }
  for (auto& [name, function] : functions) {
    if (!function.constant.has_value() && function.regions.size() > regions_max) {
      Collapse(function, profile.default_outcome);
    }
    if (function.constant.has_value()) {
      // Of an unconditional rule beside conditional ones with other actions, libseccomp 2.5.4 makes the one, the others
      // or the default, depending on their order.
      Outcome strictest = *function.constant;
      for (const Region& region : function.regions) {
        if (region.outcome == *function.constant) continue;
        strictest = StricterOf(StricterOf(strictest, region.outcome), profile.default_outcome);
      }
      function.constant = strictest;
      function.regions.clear();
    } else if (LevelOutcomes(function.regions)) {
      // Of conditional rules with different actions, too, libseccomp may lose some to the default.
      const Outcome strictest = StricterOf(function.regions.front().outcome, profile.default_outcome);
      for (Region& region : function.regions) region.outcome = strictest;
    }
  }
  return functions;
}

}  // namespace bulwark::seccomp
