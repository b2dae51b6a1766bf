#include "plugin/policy/policy_set.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "lib/oci/image_reference.h"

namespace bulwark::policy {
namespace {

using base::Code;
using base::Error;
using base::Result;
using base::Status;

std::string Where(const Rule& rule) {
  return fmt::format("{}:{}:{}: rule {}", rule.file, rule.line, rule.column, rule.name);
}

bool Contains(const std::vector<std::string>& list, std::string_view value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

// An empty list is no restriction.
bool Admits(const std::vector<std::string>& list, std::string_view value) {
  return list.empty() || Contains(list, value);
}

bool ShareElement(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  return std::any_of(a.begin(), a.end(), [&](const std::string& value) { return Contains(b, value); });
}

// Digests of one image, the most specific kind first: two kinds may be named by two rules, and then the one that is
// nearer to what runs decides.
std::vector<std::string> DigestsByKind(const oci::ImageIdentity& image) {
  std::vector<std::string> digests;
  for (const std::string& digest : {image.manifest_digest, image.config_digest, image.index_digest}) {
    if (!digest.empty()) digests.push_back(digest);
  }
  return digests;
}

// How many of `digests`, from the back, could be left out until the pattern no longer matches: a pattern that matches by
// its first digest ranks above one that needs the second. Patterns without a digest match with none.
size_t DigestRank(const oci::ReferencePattern& pattern, const oci::ImageReference* reference,
                  const std::vector<std::string>& digests) {
  for (size_t i = 0; i < digests.size(); ++i) {
    if (pattern.Matches(reference, {digests[i]})) return digests.size() - i;
  }
  return 0;
}

// The part of specificity that is the same for every image: positive if a comes before b.
int CompareScopes(const RuleMatch& a, const RuleMatch& b) {
  const auto named = [](const std::vector<std::string>& list) { return list.empty() ? 0 : 1; };
  if (const int order = named(a.kubernetes_namespaces) - named(b.kubernetes_namespaces); order != 0) return order;
  return named(a.containerd_namespaces) - named(b.containerd_namespaces);
}

// Whether a container could be in the scope of both; called when CompareScopes found no difference.
bool ScopesOverlap(const RuleMatch& a, const RuleMatch& b) {
  const bool kubernetes = a.kubernetes_namespaces.empty() || ShareElement(a.kubernetes_namespaces, b.kubernetes_namespaces);
  const bool containerd = a.containerd_namespaces.empty() || ShareElement(a.containerd_namespaces, b.containerd_namespaces);
  return kubernetes && containerd;
}

}  // namespace

Result<PolicySet> PolicySet::Make(Defaults defaults, std::vector<Rule> rules, std::string digest) {
  PolicySet set;
  set.defaults_ = defaults;
  set.rules_ = std::move(rules);
  set.digest_ = std::move(digest);
  for (size_t i = 0; i < set.rules_.size(); ++i) {
    const Rule& rule = set.rules_[i];
    if (rule.match.images.empty()) {
      return Error::Make(Code::kInvalidArgument, "{} matches no image", Where(rule));
    }
    for (const std::string& image : rule.match.images) {
      auto pattern = oci::ReferencePattern::Parse(image);
      if (!pattern) return std::move(pattern).error().Wrap("{}", Where(rule));
      set.entries_.push_back(Entry{i, std::move(pattern).value()});
    }
  }
  RETURN_IF_ERROR(set.CheckTies());
  return set;
}

// Quadratic in the number of patterns, which the parser bounds.
Status PolicySet::CheckTies() const {
  for (size_t i = 0; i < entries_.size(); ++i) {
    for (size_t j = i + 1; j < entries_.size(); ++j) {
      const Entry& a = entries_[i];
      const Entry& b = entries_[j];
      if (a.rule == b.rule) continue;
      const Rule& first = rules_[a.rule];
      const Rule& second = rules_[b.rule];
      if (CompareScopes(first.match, second.match) != 0 || !ScopesOverlap(first.match, second.match)) continue;
      if (oci::ReferencePattern::CompareSpecificity(a.pattern, b.pattern) != 0) continue;
      if (!oci::ReferencePattern::MayOverlap(a.pattern, b.pattern)) continue;
      return Error::Make(Code::kInvalidArgument,
                         "{} ties with rule {} ({}:{}): patterns {} and {} can match the same image and neither is more "
                         "specific; make one of them narrower or join the rules",
                         Where(second), first.name, first.file, first.line, b.pattern.text(), a.pattern.text());
    }
  }
  return base::OkStatus();
}

const Rule* PolicySet::Match(const oci::ImageIdentity& image, std::string_view containerd_namespace,
                             std::string_view kubernetes_namespace) const {
  std::optional<oci::ImageReference> reference;
  if (auto parsed = oci::ImageReference::Parse(image.reference)) reference = std::move(parsed).value();
  const oci::ImageReference* const name = reference ? &*reference : nullptr;
  const std::vector<std::string> digests = DigestsByKind(image);

  const Entry* best = nullptr;
  size_t best_digest_rank = 0;
  for (const Entry& entry : entries_) {
    const RuleMatch& scope = rules_[entry.rule].match;
    if (!Admits(scope.containerd_namespaces, containerd_namespace)) continue;
    if (!Admits(scope.kubernetes_namespaces, kubernetes_namespace)) continue;
    if (!entry.pattern.Matches(name, digests)) continue;
    const size_t digest_rank = DigestRank(entry.pattern, name, digests);
    if (best != nullptr) {
      int order = oci::ReferencePattern::CompareSpecificity(entry.pattern, best->pattern);
      if (order == 0) order = static_cast<int>(digest_rank) - static_cast<int>(best_digest_rank);
      if (order == 0) order = CompareScopes(scope, rules_[best->rule].match);
      if (order <= 0) continue;
    }
    best = &entry;
    best_digest_rank = digest_rank;
  }
  return best == nullptr ? nullptr : &rules_[best->rule];
}

Mode PolicySet::ModeOfUnidentified(std::string_view containerd_namespace,
                                   std::optional<std::string_view> kubernetes_namespace) const {
  const auto may_enforce = [&](const Rule& rule) {
    return rule.mode == Mode::kEnforce && Admits(rule.match.containerd_namespaces, containerd_namespace) &&
           (!kubernetes_namespace || Admits(rule.match.kubernetes_namespaces, *kubernetes_namespace));
  };
  const bool enforces = defaults_.mode == Mode::kEnforce || std::any_of(rules_.begin(), rules_.end(), may_enforce);
  return enforces ? Mode::kEnforce : Mode::kAudit;
}

}  // namespace bulwark::policy
