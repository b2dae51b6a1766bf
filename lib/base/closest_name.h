// "Did you mean …": the name out of a fixed list that a misspelt one is nearest to. Used by the strict parsers of
// configuration and policy, whose unknown keys are errors. Pure.
#pragma once

#include <stddef.h>

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace bulwark::base {

// Levenshtein distance without regard to ASCII case, quadratic in the lengths: for names of at most 64 bytes.
inline size_t EditDistance(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replace = diagonal + (lower(a[i]) == lower(b[j]) ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replace, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row[b.size()];
}

// The nearest of `known`, or empty if none is near enough to be what was meant (a third of its letters may differ).
inline std::string_view ClosestName(std::string_view name, std::span<const std::string_view> known) {
  if (name.size() > 64) return {};
  std::string_view best;
  size_t best_distance = 0;
  for (std::string_view candidate : known) {
    const size_t distance = EditDistance(name, candidate);
    if (distance > std::max<size_t>(1, candidate.size() / 3)) continue;
    if (best.empty() || distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace bulwark::base
