// The last step of a decision, pure: which exec is allowed, and how the steps that were taken become one decision with
// one message for the person who has to do something about it. The admission path calls these; plugin/trust and
// plugin/profiles make the other steps.
#pragma once

#include <stdint.h>

#include <string>
#include <string_view>
#include <vector>

#include "lib/oci/image_identity.h"
#include "plugin/policy/decision.h"
#include "plugin/policy/policy_set.h"
#include "plugin/policy/rule.h"

namespace bulwark::policy {

// What somebody wants to run in a container that is already there.
struct ExecAttempt {
  std::vector<std::string> argv;
  bool terminal = false;
  bool standard_input = false;
  uint32_t uid = 0;
};

// Check "exec": satisfied (ok), or exec.not-allowed with the reason that is nearest to a match. The detail never repeats
// arguments beyond argv[0]: they may hold secrets.
ReasonStep MatchExec(const ExecRules& rules, const ExecAttempt& attempt);

// Check "policy": which rule applies and whether it (or, without one, the defaults) lets the image in at all.
// ok, policy.denied, policy.no-rule, or policy.unavailable for the set that stands for no load yet.
ReasonStep MatchStep(const PolicySet& set, const Rule* rule);

// What was decided, before it has words: allowed, would_deny, reason_code, rule, rule_file, policy_digest, mode, steps.
// The first step that is not satisfied gives the code. Mode audit: allowed all the same, with would_deny set. Without
// steps nothing was checked, which denies with engine.error.
Decision Combine(const PolicySet& set, const Rule* rule, std::vector<ReasonStep> steps);
// The same for what could not be identified, in this mode (PolicySet::ModeOfUnidentified). `named` is the rule that its mere
// name would fall under, for people to find; null: none.
Decision CombineUnidentified(const PolicySet& set, Mode mode, const Rule* named, std::vector<ReasonStep> steps);

// Writes decision.message: one paragraph with the image and its digest, what was decided, the rule and its file, the
// evidence that was looked at, the reason code and the next step. At most kMessageBytesMax bytes of printable
// ASCII, because it travels through containerd and kubelet to `kubectl describe`.
// `what` is the sentence's verb: "start" or "exec".
inline constexpr size_t kMessageBytesMax = 1024;
void Summarise(Decision& decision, const oci::ImageIdentity& image, std::string_view what);

// What a person can do about a reason code, as an imperative clause ("sign the image with …"). Empty for "ok"; never
// empty for a code of decision.h.
std::string_view NextStep(std::string_view reason_code);

}  // namespace bulwark::policy
