// Sets of argument tuples of one system call, in the form libseccomp can express: a union of conjunctions with at most
// one comparison per argument. Used by profile_merge. Every operation is exact or says that it cannot be: nothing is
// rounded. Pure; any thread.
#pragma once

#include <optional>
#include <vector>

#include "lib/seccomp/profile.h"

namespace bulwark::seccomp {

// All conditions hold; ordered by argument index, each index once. Empty: all tuples.
using Conjunction = std::vector<ArgCondition>;
// Any conjunction holds. Empty: no tuple.
using Disjunction = std::vector<Conjunction>;

// The result of intersecting two conditions or conjunctions.
enum class Meet { kExact, kEmpty, kInexpressible };

// Intersects conditions on the same argument into one. Values beyond 32 bits are only compared for identity, because
// libseccomp truncates them on 32-bit architectures, where the reasoning for 64 bits would not hold.
Meet MeetConditions(const ArgCondition& a, const ArgCondition& b, ArgCondition* result);
Meet MeetConjunctions(const Conjunction& a, const Conjunction& b, Conjunction* result);

// Complement of a union; absent if inexpressible or larger than `size_max` conjunctions.
std::optional<Disjunction> Complement(const Disjunction& set, size_t size_max);

// Whether libseccomp 2.5.4 can be trusted with these rules for one system call. With several rules, more than one
// condition and comparisons by order or inequality, seccomp_rule_add() may never return ([a0 <= 3, a1 < 2] and
// [a0 <= 3, a1 != 7]); with values beyond 32 bits in such comparisons, it builds wrong programs. Found good, by comparing
// millions of calls: one rule; rules that only compare for equality (masked or not); rules of one condition each, with
// values of 32 bits.
bool IsSafeForLibseccomp(const std::vector<Conjunction>& rules);

}  // namespace bulwark::seccomp
