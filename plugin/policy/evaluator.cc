#include "plugin/policy/evaluator.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

namespace bulwark::policy {
namespace {

struct NextStepEntry {
  std::string_view code;
  std::string_view step;
};

constexpr NextStepEntry kNextSteps[] = {
    {reason::kIdentityUnresolved, "check that containerd is running and start the container again"},
    {reason::kIdentityNoImage, "start the container from an image in containerd's store"},
    {reason::kIdentityImageMissing, "pull the image again"},
    {reason::kIdentityContentMismatch,
     "the name now points to other content than the container was made from: create the container again"},
    {reason::kIdentityMountsMismatch, "create the container from the image's own snapshot, without replaced root mounts"},
    {reason::kIdentityInvalid, "pull the image again; if that does not help, treat the image as tampered with"},
    {reason::kPolicyNoRule, "add a rule that matches this image to the policy"},
    {reason::kPolicyDenied, "use an image that the rule does not deny, or change the rule"},
    {reason::kPolicyUnavailable, "run `bulwarkctl policy check` on the policy directory and mend what it names"},
    {reason::kSignatureMissing, "sign this digest with a key of the rule and put the signature into the evidence store"},
    {reason::kSignatureUntrusted, "sign the image with a key of the rule, or add the signer's key to the authorities"},
    {reason::kSignatureDigestMismatch, "sign this digest: the signature found is about another one"},
    {reason::kSignatureReferenceMismatch, "sign the image under the name it is started by, or set signatures.reference"},
    {reason::kSignatureAnnotationMismatch, "sign the image again with the annotations that the rule asks for"},
    {reason::kSignatureInvalid, "remove the malformed signature and sign the image again"},
    {reason::kSignatureLimit, "remove signatures that are not needed from the evidence store"},
    {reason::kSignatureThreshold, "have the image signed by more of the rule's authorities"},
    {reason::kScanMissing, "scan this digest and put the report into the evidence store"},
    {reason::kScanDigestMismatch, "scan this digest: the report found is about another one"},
    {reason::kScanStale, "scan the image again: the report is older than the rule allows"},
    {reason::kScanFromFuture, "check the clocks of this node and of the scanner, then scan again"},
    {reason::kScanFindings, "fix the findings, or list accepted ones under scan.accept"},
    {reason::kScanInvalid, "make the report again: this one cannot be read"},
    {reason::kScanUntrustedSource, "scan with a scanner that the rule lists"},
    {reason::kScanEndOfLife, "move the image to a distribution that still gets fixes"},
    {reason::kProfileUnavailable, "install the seccomp profile that the rule names"},
    {reason::kProfileUnmergeable, "change the pod's seccomp profile or the rule's: the two cannot be intersected"},
    {reason::kSpecInvalid, "correct the runtime spec: it is malformed"},
    {reason::kSpecForbidden,
     "drop the privilege from the pod, or allow it with profile.allowPrivileged, allowHooks or allowHostNamespaces"},
    {reason::kExecNotAllowed, "add the command to exec.allow of the rule if it is meant to be run"},
    {reason::kExecContainerUnknown, "start the container again under bulwark: this one was never admitted"},
    {reason::kAuditUnavailable, "make room for the audit log, or mend its disk"},
    {reason::kDaemonUnavailable, "start bulwarkd on this node"},
    {reason::kEngineError, "report this with the node's bulwarkd log"},
};

bool StartsWith(const std::vector<std::string>& argv, const std::vector<std::string>& prefix) {
  return argv.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), argv.begin());
}

// Why an entry whose command fits does not let the attempt in; empty if it does.
std::string_view Obstacle(const ExecAllow& allow, const ExecAttempt& attempt) {
  if (attempt.terminal && !allow.terminal) return "the command is allowed only without a terminal";
  if (attempt.standard_input && !allow.standard_input) return "the command is allowed only without standard input";
  if (!allow.users.empty() && std::count(allow.users.begin(), allow.users.end(), attempt.uid) == 0) {
    return "the command is not allowed as this user";
  }
  return {};
}

ReasonStep ExecStep(std::string_view code, std::string detail) {
  ReasonStep step;
  step.check = "exec";
  step.satisfied = code == reason::kOk;
  step.code = code;
  step.detail = std::move(detail);
  return step;
}

// Printable ASCII, at most `bytes_max` bytes: names and details may hold what a container's author chose, and the message
// travels through protobuf (which wants UTF-8), terminals and logs.
std::string Printable(std::string text, size_t bytes_max) {
  for (char& c : text) {
    if (c == '\n' || c == '\t' || c == '\r') c = ' ';
    if (c < 0x20 || c > 0x7E) c = '?';
  }
  constexpr std::string_view kCut = "...";
  if (text.size() > bytes_max) text.replace(bytes_max - kCut.size(), std::string::npos, kCut);
  return text;
}

std::string DescribeImage(const oci::ImageIdentity& image) {
  const std::string& digest = image.manifest_digest.empty() ? image.index_digest : image.manifest_digest;
  if (image.reference.empty() && digest.empty()) return "an unresolved image";
  if (image.reference.empty()) return fmt::format("image {}", digest);
  if (digest.empty()) return fmt::format("image {}", Printable(image.reference, 300));
  return fmt::format("image {} ({})", Printable(image.reference, 300), digest);
}

std::string DescribeRule(const Decision& decision) {
  const bool was_matched = std::any_of(decision.steps.begin(), decision.steps.end(),
                                       [](const ReasonStep& step) { return step.check == "policy"; });
  if (decision.rule.empty() && !was_matched) return "no policy rule was looked for";
  if (decision.rule.empty()) return "no policy rule matches, so the defaults apply";
  return fmt::format("rule {} ({})", decision.rule, Printable(decision.rule_file, 150));
}

// What was looked at by the step that decided, or by all of them; each once, a few at most.
std::string DescribeEvidence(const Decision& decision) {
  constexpr size_t kShownMax = 3;
  std::vector<std::string> shown;
  std::set<std::string> seen;
  for (const ReasonStep& step : decision.steps) {
    if (decision.reason_code != reason::kOk && step.code != decision.reason_code) continue;
    for (const std::string& item : step.evidence) {
      if (seen.insert(item).second && shown.size() < kShownMax) shown.push_back(Printable(item, 100));
    }
  }
  if (shown.empty()) return "none";
  const size_t more = seen.size() - shown.size();
  return more == 0 ? fmt::format("{}", fmt::join(shown, ", "))
                   : fmt::format("{} and {} more", fmt::join(shown, ", "), more);
}

}  // namespace

ReasonStep MatchExec(const ExecRules& rules, const ExecAttempt& attempt) {
  if (attempt.argv.empty()) return ExecStep(reason::kExecNotAllowed, "the command is empty");
  if (rules.default_action == Action::kAllow) return ExecStep(reason::kOk, "exec.default is allow");
  std::string_view nearest;
  for (size_t i = 0; i < rules.allow.size(); ++i) {
    const ExecAllow& allow = rules.allow[i];
    // The parser never makes an empty command; were there one, as a prefix it would allow everything.
    const bool fits = !allow.argv.empty() && (allow.is_prefix ? StartsWith(attempt.argv, allow.argv) : attempt.argv == allow.argv);
    if (!fits) continue;
    const std::string_view obstacle = Obstacle(allow, attempt);
    if (obstacle.empty()) return ExecStep(reason::kOk, fmt::format("exec.allow entry {} allows it", i + 1));
    if (nearest.empty()) nearest = obstacle;
  }
  if (nearest.empty()) nearest = "no entry of exec.allow fits the command";
  return ExecStep(reason::kExecNotAllowed, fmt::format("{}: {}", Printable(attempt.argv.front(), 120), nearest));
}

ReasonStep MatchStep(const PolicySet& set, const Rule* rule) {
  ReasonStep step;
  step.check = "policy";
  const Action action = rule != nullptr ? rule->action : set.defaults().action;
  step.satisfied = action == Action::kAllow;
  if (rule != nullptr) {
    step.evidence = {fmt::format("{}:{}", rule->file, rule->line)};
    step.code = step.satisfied ? reason::kOk : reason::kPolicyDenied;
    step.detail = fmt::format("rule {} {}", rule->name, step.satisfied ? "applies" : "denies this image");
  } else if (set.digest().empty()) {
    // Adding a rule would not help here, so it must not look like a rule that is missing. Never satisfied.
    step.satisfied = false;
    step.code = reason::kPolicyUnavailable;
    step.detail = "no good policy has been loaded since the daemon started";
  } else {
    step.code = step.satisfied ? reason::kOk : reason::kPolicyNoRule;
    step.detail = fmt::format("no rule matches; the default is {}", step.satisfied ? "allow" : "deny");
  }
  return step;
}

Decision Combine(const PolicySet& set, const Rule* rule, std::vector<ReasonStep> steps) {
  return CombineUnidentified(set, rule != nullptr ? rule->mode : set.defaults().mode, rule, std::move(steps));
}

Decision CombineUnidentified(const PolicySet& set, Mode mode, const Rule* named, std::vector<ReasonStep> steps) {
  Decision decision;
  if (named != nullptr) {
    decision.rule = named->name;
    decision.rule_file = named->file;
  }
  decision.policy_digest = set.digest();
  decision.mode = mode;
  decision.steps = std::move(steps);
  const auto failed = std::find_if(decision.steps.begin(), decision.steps.end(),
                                   [](const ReasonStep& step) { return !step.satisfied; });
  const bool satisfied = !decision.steps.empty() && failed == decision.steps.end();
  if (satisfied) {
    decision.reason_code = reason::kOk;
  } else {
    decision.reason_code = decision.steps.empty() ? std::string(reason::kEngineError) : failed->code;
  }
  decision.allowed = satisfied || decision.mode == Mode::kAudit;
  decision.would_deny = !satisfied && decision.mode == Mode::kAudit;
  return decision;
}

void Summarise(Decision& decision, const oci::ImageIdentity& image, std::string_view what) {
  std::string_view outcome = decision.allowed ? "allowed" : "denied";
  if (decision.would_deny) outcome = "allowed in mode audit, enforce would deny it";
  std::string message = fmt::format("{} of {} {}: {}", what, DescribeImage(image), outcome, decision.reason_code);
  if (decision.reason_code != reason::kOk) {
    const auto step = std::find_if(decision.steps.begin(), decision.steps.end(),
                                   [&](const ReasonStep& s) { return !s.satisfied && s.code == decision.reason_code; });
    if (step != decision.steps.end() && !step->detail.empty()) {
      message += fmt::format(" ({})", Printable(step->detail, 250));
    }
  }
  message += fmt::format("; {}; evidence: {}", DescribeRule(decision), DescribeEvidence(decision));
  // The next step is what the reader needs most, so it is never what gets cut off.
  std::string next;
  if (const std::string_view step = NextStep(decision.reason_code); !step.empty()) next = fmt::format("; next: {}", step);
  decision.message = Printable(std::move(message), kMessageBytesMax - next.size()) + next;
}

std::string_view NextStep(std::string_view reason_code) {
  for (const NextStepEntry& entry : kNextSteps) {
    if (entry.code == reason_code) return entry.step;
  }
  return reason_code == reason::kOk ? std::string_view() : "see the audit record of this decision";
}

}  // namespace bulwark::policy
