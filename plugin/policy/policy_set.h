// Everything that was read from the policy directory, as one immutable value: the rules, the defaults, the authorities
// with their keys, and a digest that names exactly this state. Built by policy_parser.h, kept by policy_store.h, shared
// between threads as shared_ptr<const PolicySet>. Never reads a clock, a file or a socket.
//
// Exactly one rule applies to a container: the most specific one that matches. Specificity is compared in this order,
// and the first difference decides (docs/formats/policy.md explains it to users, with examples):
//   1. the image patterns that matched, as lib/oci/reference_pattern.h orders them (digest, host, path segments, tag);
//   2. the digest that a pattern with a digest matched: platform manifest > image config > image index;
//   3. rules that name Kubernetes namespaces > rules that don't;
//   4. rules that name containerd namespaces > rules that don't.
// Two rules that could both match one container with nothing to choose between them are an error when the set is made,
// so the order of rules and files never matters.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "lib/oci/image_identity.h"
#include "lib/oci/reference_pattern.h"
#include "plugin/policy/rule.h"

namespace bulwark::policy {

class PolicySet {
 public:
  // `rules` with patterns parsed, names unique. `digest` as computed by ParsePolicy.
  // kInvalidArgument: a pattern does not parse, or two rules tie; the text starts with file:line:column of the rule.
  static base::Result<PolicySet> Make(Defaults defaults, std::vector<Rule> rules, std::string digest);

  // A set without rules that denies everything: what applies before the first good load.
  PolicySet() = default;

  // The one rule that applies, or nullptr: then defaults() do, with reason policy.no-rule if they deny. The identity's
  // reference must be canonical or empty; an empty one is matched by digests only. The pointer lives as long as the set.
  const Rule* Match(const oci::ImageIdentity& image, std::string_view containerd_namespace,
                    std::string_view kubernetes_namespace) const;

  // For a container of which the image is not known, so that any rule for these namespaces could be the one: enforce
  // unless the defaults and all those rules are in mode audit. Without `kubernetes_namespace` that is not known either.
  Mode ModeOfUnidentified(std::string_view containerd_namespace,
                          std::optional<std::string_view> kubernetes_namespace) const;

  const Defaults& defaults() const { return defaults_; }
  const std::vector<Rule>& rules() const { return rules_; }
  // "sha256:<hex>" over the names and bytes of all policy files and of all key files they name; empty for no load yet.
  const std::string& digest() const { return digest_; }

 private:
  // One image pattern of one rule, ready to match.
  struct Entry {
    size_t rule = 0;
    oci::ReferencePattern pattern;
  };

  base::Status CheckTies() const;

  Defaults defaults_;
  std::vector<Rule> rules_;
  std::vector<Entry> entries_;
  std::string digest_;
};

}  // namespace bulwark::policy
