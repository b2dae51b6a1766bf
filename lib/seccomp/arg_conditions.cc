#include "lib/seccomp/arg_conditions.h"

#include <algorithm>

namespace bulwark::seccomp {

namespace {

constexpr uint64_t kMax32 = UINT32_MAX;

bool Fits32(const ArgCondition& c) { return c.value <= kMax32 && c.value_two <= kMax32; }

bool Holds(const ArgCondition& c, uint64_t x) {
  switch (c.op) {
    case CompareOp::kEqual: return x == c.value;
    case CompareOp::kNotEqual: return x != c.value;
    case CompareOp::kLess: return x < c.value;
    case CompareOp::kLessOrEqual: return x <= c.value;
    case CompareOp::kGreater: return x > c.value;
    case CompareOp::kGreaterOrEqual: return x >= c.value;
    case CompareOp::kMaskedEqual: return (x & c.value) == c.value_two;
  }
  return false;
}

// Inclusive bounds. Only of conditions that fit 32 bits, so that the +1 below does not wrap.
struct Range {
  uint64_t low = 0;
  uint64_t high = UINT64_MAX;
};

// The range of an order condition; absent for other conditions. An empty one has low > high.
std::optional<Range> RangeOf(const ArgCondition& c) {
  switch (c.op) {
    case CompareOp::kLess:
      return c.value == 0 ? Range{1, 0} : Range{0, c.value - 1};
    case CompareOp::kLessOrEqual: return Range{0, c.value};
    case CompareOp::kGreater: return Range{c.value + 1, UINT64_MAX};
    case CompareOp::kGreaterOrEqual: return Range{c.value, UINT64_MAX};
    default: return std::nullopt;
  }
}

Meet Exactly(const ArgCondition& c, ArgCondition* result) {
  *result = c;
  return Meet::kExact;
}

Meet MeetRanges(const ArgCondition& a, const Range& range_a, const ArgCondition& b,
                const Range& range_b, ArgCondition* result) {
  const uint64_t low = std::max(range_a.low, range_b.low);
  const uint64_t high = std::min(range_a.high, range_b.high);
  if (low > high) return Meet::kEmpty;
  if (low == range_a.low && high == range_a.high) return Exactly(a, result);
  if (low == range_b.low && high == range_b.high) return Exactly(b, result);
  if (low == high) return Exactly({a.index, CompareOp::kEqual, low, 0}, result);
  return Meet::kInexpressible;
}

Meet MeetMasks(const ArgCondition& a, const ArgCondition& b, ArgCondition* result) {
  const uint64_t common = a.value & b.value;
  if ((a.value_two & common) != (b.value_two & common)) return Meet::kEmpty;
  return Exactly({a.index, CompareOp::kMaskedEqual, a.value | b.value, a.value_two | b.value_two},
                 result);
}

// `x != value` with anything but an equality.
Meet MeetNotEqual(const ArgCondition& not_equal, const ArgCondition& other, ArgCondition* result) {
  if (!Holds(other, not_equal.value)) return Exactly(other, result);
  if (const auto range = RangeOf(other); range.has_value()) {
    // Cutting an end off a range leaves a range.
    if (range->low == range->high) return Meet::kEmpty;
    if (not_equal.value == range->low && range->high == UINT64_MAX) {
      return Exactly({other.index, CompareOp::kGreater, range->low, 0}, result);
    }
    if (not_equal.value == range->high && range->low == 0) {
      return Exactly({other.index, CompareOp::kLess, range->high, 0}, result);
    }
  }
  return Meet::kInexpressible;
}

ArgCondition Negated(const ArgCondition& c, bool* possible) {
  ArgCondition negated = c;
  switch (c.op) {
    case CompareOp::kEqual: negated.op = CompareOp::kNotEqual; break;
    case CompareOp::kNotEqual: negated.op = CompareOp::kEqual; break;
    case CompareOp::kLess: negated.op = CompareOp::kGreaterOrEqual; break;
    case CompareOp::kLessOrEqual: negated.op = CompareOp::kGreater; break;
    case CompareOp::kGreater: negated.op = CompareOp::kLessOrEqual; break;
    case CompareOp::kGreaterOrEqual: negated.op = CompareOp::kLess; break;
    case CompareOp::kMaskedEqual: *possible = false; break;
  }
  return negated;
}

// A single masked bit is either set or clear.
std::optional<ArgCondition> NegateCondition(const ArgCondition& c) {
  if (c.op == CompareOp::kMaskedEqual && c.value != 0 && (c.value & (c.value - 1)) == 0) {
    ArgCondition flipped = c;
    flipped.value_two = c.value_two ^ c.value;
    return flipped;
  }
  bool possible = true;
  const ArgCondition negated = Negated(c, &possible);
  if (!possible) return std::nullopt;
  return negated;
}

}  // namespace

Meet MeetConditions(const ArgCondition& a, const ArgCondition& b, ArgCondition* result) {
  if (a == b) return Exactly(a, result);
  if (!Fits32(a) || !Fits32(b)) return Meet::kInexpressible;
  if (a.op == CompareOp::kEqual) return Holds(b, a.value) ? Exactly(a, result) : Meet::kEmpty;
  if (b.op == CompareOp::kEqual) return Holds(a, b.value) ? Exactly(b, result) : Meet::kEmpty;
  if (a.op == CompareOp::kMaskedEqual && b.op == CompareOp::kMaskedEqual) {
    return MeetMasks(a, b, result);
  }
  const auto range_a = RangeOf(a);
  const auto range_b = RangeOf(b);
  if ((range_a.has_value() && range_a->low > range_a->high) ||
      (range_b.has_value() && range_b->low > range_b->high)) {
    return Meet::kEmpty;
  }
  if (range_a.has_value() && range_b.has_value()) return MeetRanges(a, *range_a, b, *range_b, result);
  if (a.op == CompareOp::kNotEqual) return MeetNotEqual(a, b, result);
  if (b.op == CompareOp::kNotEqual) return MeetNotEqual(b, a, result);
  return Meet::kInexpressible;  // a mask and a range
}

Meet MeetConjunctions(const Conjunction& a, const Conjunction& b, Conjunction* result) {
  result->clear();
  bool is_inexpressible = false;
  size_t i = 0;
  size_t j = 0;
  while (i < a.size() || j < b.size()) {
    if (j == b.size() || (i < a.size() && a[i].index < b[j].index)) {
      result->push_back(a[i++]);
    } else if (i == a.size() || b[j].index < a[i].index) {
      result->push_back(b[j++]);
    } else {
      ArgCondition both;
      const Meet meet = MeetConditions(a[i++], b[j++], &both);
      if (meet == Meet::kEmpty) return Meet::kEmpty;  // whatever the other arguments say
      is_inexpressible = is_inexpressible || meet == Meet::kInexpressible;
      result->push_back(both);
    }
  }
  return is_inexpressible ? Meet::kInexpressible : Meet::kExact;
}

std::optional<Disjunction> Complement(const Disjunction& set, size_t size_max) {
  Disjunction complement = {Conjunction()};
  for (const Conjunction& conjunction : set) {
    Disjunction next;
    for (const ArgCondition& condition : conjunction) {
      const auto negated = NegateCondition(condition);
      if (!negated.has_value()) return std::nullopt;
      for (const Conjunction& so_far : complement) {
        Conjunction both;
        const Meet meet = MeetConjunctions(so_far, {*negated}, &both);
        if (meet == Meet::kInexpressible) return std::nullopt;
        if (meet == Meet::kExact) next.push_back(std::move(both));
        if (next.size() > size_max) return std::nullopt;
      }
    }
    complement = std::move(next);
  }
  return complement;
}

bool IsSafeForLibseccomp(const std::vector<Conjunction>& rules) {
  if (rules.size() <= 1) return true;
  const auto is_equality = [](const ArgCondition& condition) {
    return condition.op == CompareOp::kEqual || condition.op == CompareOp::kMaskedEqual;
  };
  const auto all_equalities = [&](const Conjunction& rule) {
    return std::all_of(rule.begin(), rule.end(), is_equality);
  };
  const auto is_small = [](const Conjunction& rule) {
    return rule.empty() || (rule.size() == 1 && Fits32(rule.front()));
  };
  return std::all_of(rules.begin(), rules.end(), all_equalities) ||
         std::all_of(rules.begin(), rules.end(), is_small);
}

}  // namespace bulwark::seccomp
