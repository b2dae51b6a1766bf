#include "lib/seccomp/profile_merge.h"

#include <errno.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "lib/seccomp/multiplexed_calls.h"
#include "lib/seccomp/profile_json.h"
#include "lib/seccomp/syscall_function.h"

namespace bulwark::seccomp {

using base::Code;
using base::Error;

namespace {

// What one input says about one system call.
struct Side {
  const SyscallFunction* function = nullptr;  // null: no rule
  Outcome default_outcome;

  bool is_constant() const { return function == nullptr || function->constant.has_value(); }
  bool is_explicit() const { return function != nullptr; }
  Outcome constant() const { return function == nullptr ? default_outcome : *function->constant; }
  Disjunction set() const {
    Disjunction all;
    for (const Region& region : function->regions) all.push_back(region.where);
    return all;
  }
};

// Intersects the two functions of one system call.
class CallMerge {
 public:
  CallMerge(const std::string& name, const Side& a, const Side& b, const Outcome& default_outcome)
      : is_clone3_(name == "clone3"),
        may_have_conditions_(!IsMultiplexedCall(name)),
        a_(a), b_(b), default_(default_outcome) {}

  SyscallFunction Run() {
    if ((a_.function != nullptr && a_.function->is_collapsed) ||
        (b_.function != nullptr && b_.function->is_collapsed)) {
      unmergeable_ = true;
    }
    if (a_.is_constant() && b_.is_constant()) {
      return Constant(Pick(a_.constant(), a_.is_explicit(), b_.constant(), b_.is_explicit()));
    }
    const bool is_written = a_.is_constant()   ? OneSided(b_, a_)
                            : b_.is_constant() ? OneSided(a_, b_)
                                               : TwoSided();
    if (!is_written || regions_.size() > kRulesPerSyscallMax) return Collapsed();
    DropDefaults();
    if (LevelOutcomes(regions_)) unmergeable_ = true;
    SyscallFunction merged;
    for (Region& region : regions_) {
      if (region.where.empty()) return Constant(region.outcome);
      const bool is_new = std::none_of(
          merged.regions.begin(), merged.regions.end(),
          [&](const Region& other) { return other.where == region.where; });
      if (is_new) merged.regions.push_back(std::move(region));
    }
    return IsLoadable(merged) ? merged : Collapsed();
  }

  bool unmergeable() const { return unmergeable_; }

 private:
  Outcome Pick(const Outcome& a, bool a_explicit, const Outcome& b, bool b_explicit) const {
    Outcome picked = StricterOf(a, b);
    if (a.action == b.action && b_explicit && !a_explicit) picked = b;
    if (is_clone3_ && picked.action == Action::kErrno) picked.value = ENOSYS;
    return picked;
  }

  // Regions that end as the default does need no rule. Those of other outcomes never overlap them: inside both, inside one
  // only, and outside are disjoint. An errno unlike the default's is kept if nothing else has to be said.
  void DropDefaults() {
    const bool all_alike = std::all_of(regions_.begin(), regions_.end(), [&](const Region& region) {
      return region.outcome.action == default_.action;
    });
    const auto end = std::remove_if(regions_.begin(), regions_.end(), [&](const Region& region) {
      return all_alike ? region.outcome == default_ : region.outcome.action == default_.action;
    });
    regions_.erase(end, regions_.end());
  }

  bool IsLoadable(const SyscallFunction& function) const {
    std::vector<Conjunction> rules;
    for (const Region& region : function.regions) rules.push_back(region.where);
    return rules.empty() || (may_have_conditions_ && IsSafeForLibseccomp(rules));
  }

  static SyscallFunction Constant(const Outcome& outcome) {
    SyscallFunction function;
    function.constant = outcome;
    return function;
  }

  SyscallFunction Collapsed() {
    unmergeable_ = true;
    Outcome strictest = StricterOf(default_, Outcome{Action::kErrno, EPERM});
    for (const Side* side : {&a_, &b_}) {
      if (side->is_constant()) {
        strictest = StricterOf(strictest, side->constant());
      } else {
        for (const Region& region : side->function->regions) {
          strictest = StricterOf(strictest, region.outcome);
        }
      }
    }
    return Constant(strictest);
  }

  bool Add(const Conjunction& where, const Conjunction& also, const Outcome& outcome) {
    Conjunction both;
    const Meet meet = MeetConjunctions(where, also, &both);
    if (meet == Meet::kExact) regions_.push_back(Region{std::move(both), outcome});
    return meet != Meet::kInexpressible && regions_.size() <= kRulesPerSyscallMax * 2;
  }

  // Everything outside `set`, within `where`. Nothing to write if the default already is what is wanted; of two equally
  // strict outcomes the default's number will do.
  bool AddOutside(const Conjunction& where, const Disjunction& set, const Outcome& outcome) {
    if (outcome.action == default_.action) return true;
    const auto outside = Complement(set, kRulesPerSyscallMax);
    if (!outside.has_value()) return false;
    return std::all_of(outside->begin(), outside->end(), [&](const Conjunction& part) {
      return Add(where, part, outcome);
    });
  }

  bool OneSided(const Side& regions, const Side& constant) {
    const Outcome flat = constant.constant();
    for (const Region& region : regions.function->regions) {
      if (!Add(region.where, {}, Pick(region.outcome, true, flat, constant.is_explicit()))) {
        return false;
      }
    }
    return AddOutside({}, regions.set(),
                      Pick(regions.default_outcome, false, flat, constant.is_explicit()));
  }

  bool TwoSided() {
    for (const Region& in_a : a_.function->regions) {
      for (const Region& in_b : b_.function->regions) {
        if (!Add(in_a.where, in_b.where, Pick(in_a.outcome, true, in_b.outcome, true))) {
          return false;
        }
      }
    }
    return AddOnly(a_, b_) && AddOnly(b_, a_);
  }

  // Inside one side's regions, outside all of the other's.
  bool AddOnly(const Side& inside, const Side& outside) {
    const Disjunction set = outside.set();
    const auto& regions = inside.function->regions;
    return std::all_of(regions.begin(), regions.end(), [&](const Region& region) {
      return AddOutside(region.where, set,
                        Pick(region.outcome, true, outside.default_outcome, false));
    });
  }

  const bool is_clone3_;
  const bool may_have_conditions_;
  const Side a_;
  const Side b_;
  const Outcome default_;
  std::vector<Region> regions_;
  bool unmergeable_ = false;
};

std::vector<std::string> WithNative(std::vector<std::string> architectures) {
  const std::string native(NativeArchitecture());
  if (std::find(architectures.begin(), architectures.end(), native) == architectures.end()) {
    architectures.insert(architectures.begin(), native);
  }
  return architectures;
}

std::vector<std::string> Common(const std::vector<std::string>& a,
                                const std::vector<std::string>& b) {
  std::vector<std::string> common;
  for (const std::string& item : a) {
    const bool in_both = std::find(b.begin(), b.end(), item) != b.end();
    if (in_both && std::find(common.begin(), common.end(), item) == common.end()) {
      common.push_back(item);
    }
  }
  return common;
}

Side SideOf(const TakenApart& input, const std::string& name) {
  const auto it = input.functions.find(name);
  return Side{it == input.functions.end() ? nullptr : &it->second, input.default_outcome};
}

bool Notifies(const Profile& profile) {
  return profile.default_outcome.action == Action::kNotify ||
         std::any_of(profile.rules.begin(), profile.rules.end(), [](const Rule& rule) {
           return rule.outcome.action == Action::kNotify;
         });
}

// Settles who answers notifications; replaces them by a refusal if it cannot be both.
void MergeListeners(const Profile& a, const Profile& b, MergedProfile& merged) {
  if (!Notifies(merged.profile)) return;
  const bool conflict = Notifies(a) && Notifies(b) && !(a.listener_path == b.listener_path &&
                                                        a.listener_metadata == b.listener_metadata);
  if (!conflict) {
    const Profile& answering = Notifies(a) ? a : b;
    merged.profile.listener_path = answering.listener_path;
    merged.profile.listener_metadata = answering.listener_metadata;
    return;
  }
  const Outcome refused = {Action::kErrno, EPERM};
  if (merged.profile.default_outcome.action == Action::kNotify) {
    merged.profile.default_outcome = refused;
  }
  for (Rule& rule : merged.profile.rules) {
    if (rule.outcome.action == Action::kNotify) rule.outcome = refused;
  }
  merged.notes.push_back("calls that two different seccomp listeners would answer are refused");
}

bool Is32Bit(std::string_view architecture) {
  constexpr std::string_view kNames[] = {
      "SCMP_ARCH_X86",    "SCMP_ARCH_ARM",       "SCMP_ARCH_MIPS",        "SCMP_ARCH_MIPSEL",
      "SCMP_ARCH_PPC",    "SCMP_ARCH_MIPS64N32", "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_S390",
      "SCMP_ARCH_PARISC", "SCMP_ARCH_M68K",      "SCMP_ARCH_SH",          "SCMP_ARCH_SHEB"};
  return std::find(std::begin(kNames), std::end(kNames), architecture) != std::end(kNames);
}

// libseccomp cuts such values off on 32-bit architectures, where the condition then means something else.
bool HasLargeValues(const Profile& profile) {
  return std::any_of(profile.rules.begin(), profile.rules.end(), [](const Rule& rule) {
    return std::any_of(rule.args.begin(), rule.args.end(), [](const ArgCondition& arg) {
      return arg.value > UINT32_MAX || arg.value_two > UINT32_MAX;
    });
  });
}

base::Status MergeArchitectures(const Profile& a, const Profile& b, bool multiplexed_calls_agree,
                                MergedProfile& merged) {
  const bool has_large_values = HasLargeValues(a) || HasLargeValues(b);
  for (const std::string& name : Common(WithNative(a.architectures), WithNative(b.architectures))) {
    if (name == "SCMP_ARCH_X32") {
      merged.notes.push_back("x32 calls are killed: libseccomp cannot be trusted with x32");
    } else if (has_large_values && Is32Bit(name)) {
      merged.notes.push_back("calls of " + name + " are killed: a condition exceeds 32 bits");
    } else if (multiplexed_calls_agree || !IsMultiplexedArchitecture(name)) {
      merged.profile.architectures.push_back(name);
    } else if (name == NativeArchitecture()) {
      return Error(Code::kFailedPrecondition,
                   "intersecting seccomp profiles: they treat socketcall or ipc and their parts "
                   "differently, on an architecture that has both");
    } else {
      merged.notes.push_back("calls of " + name + " are killed: socketcall or ipc do not agree");
    }
  }
  return base::OkStatus();
}

// One rule per outcome and condition set, with all the names it is for; the unconditional ones first.
std::vector<Rule> RulesOf(const SyscallFunctions& functions, const Outcome& default_outcome) {
  std::map<std::pair<int, uint32_t>, std::vector<std::string>> unconditional;
  std::vector<Rule> conditional;
  for (const auto& [name, function] : functions) {
    if (function.constant.has_value()) {
      const Outcome& outcome = *function.constant;
      unconditional[{static_cast<int>(outcome.action), outcome.value}].push_back(name);
    }
    for (const Region& region : function.regions) {
      conditional.push_back(Rule{{name}, region.outcome, region.where});
    }
  }
  std::vector<Rule> rules;
  for (auto& [key, names] : unconditional) {
    const Outcome outcome = {static_cast<Action>(key.first), key.second};
    if (!(outcome == default_outcome)) rules.push_back(Rule{std::move(names), outcome, {}});
  }
  std::move(conditional.begin(), conditional.end(), std::back_inserter(rules));
  return rules;
}

}  // namespace

base::Result<MergedProfile> Intersect(const Profile& a, const Profile& b) {
  const TakenApart in_a = {TakeApart(a, kRulesPerSyscallMax), a.default_outcome};
  const TakenApart in_b = {TakeApart(b, kRulesPerSyscallMax), b.default_outcome};
  MergedProfile merged;
  const Outcome default_outcome = StricterOf(a.default_outcome, b.default_outcome);
  merged.profile.default_outcome = default_outcome;
  merged.profile.flags = Common(a.flags, b.flags);

  std::set<std::string> names = {"clone3"};
  for (const auto& [name, function] : in_a.functions) names.insert(name);
  for (const auto& [name, function] : in_b.functions) names.insert(name);
  SyscallFunctions result;
  for (const std::string& name : names) {
    CallMerge call(name, SideOf(in_a, name), SideOf(in_b, name), default_outcome);
    SyscallFunction function = call.Run();
    if (call.unmergeable()) merged.unmergeable.push_back(name);
    const bool is_default = function.constant.has_value() ? *function.constant == default_outcome
                                                          : function.regions.empty();
    if (!is_default) result.emplace(name, std::move(function));
  }
  RETURN_IF_ERROR(MergeArchitectures(a, b, MultiplexedCallsAgree(in_a, in_b, result), merged));
  const auto& architectures = merged.profile.architectures;
  if (std::none_of(architectures.begin(), architectures.end(), IsMultiplexedArchitecture)) {
    // No such calls here; but rules for them would make libseccomp lose some for their parts.
    result.erase("socketcall");
    result.erase("ipc");
  }
  merged.profile.rules = RulesOf(result, default_outcome);
  MergeListeners(a, b, merged);
  return merged;
}

}  // namespace bulwark::seccomp
