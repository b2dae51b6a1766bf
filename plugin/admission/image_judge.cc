#include "plugin/admission/image_judge.h"

#include <fmt/format.h>

#include <utility>

#include "plugin/policy/evaluator.h"
#include "plugin/trust/cosign_verifier.h"
#include "plugin/trust/scan_evaluator.h"

namespace bulwark::admission {
namespace {

// Evidence that is there but cannot be read looks like none; say where to look.
void HintAtProblems(size_t problems, policy::ReasonStep* step) {
  const bool is_missing = step->code == policy::reason::kSignatureMissing || step->code == policy::reason::kScanMissing;
  if (!is_missing || problems == 0) return;
  step->detail += fmt::format(" ({} evidence {} could not be read: see bulwarkctl status)", problems,
                              problems == 1 ? "file" : "files");
}

}  // namespace

JudgedImage ImageJudge::Judge(const policy::PolicySet& policies, const oci::ImageIdentity& image,
                              const std::string& containerd_namespace, std::string_view kubernetes_namespace) {
  JudgedImage judged;
  judged.rule = policies.Match(image, containerd_namespace, kubernetes_namespace);
  judged.steps.push_back(policy::MatchStep(policies, judged.rule));
  if (judged.rule == nullptr || !judged.steps.back().satisfied) return judged;
  if (judged.rule->signatures) {
    judged.steps.push_back(JudgeSignatures(*judged.rule->signatures, image, containerd_namespace));
  }
  if (judged.rule->scan) judged.steps.push_back(JudgeScan(*judged.rule->scan, image));
  for (policy::ReasonStep& step : judged.steps) {
    if (!step.satisfied) HintAtProblems(evidence_.problem_count(), &step);
  }
  return judged;
}

policy::ReasonStep ImageJudge::JudgeSignatures(const trust::SignatureRequirement& requirement,
                                               const oci::ImageIdentity& image,
                                               const std::string& containerd_namespace) {
  trust::SignatureEvidence found = evidence_.FindSignatures(image);
  policy::ReasonStep step = trust::VerifySignatures(requirement, image, found);
  // The content store costs a round trip to containerd, so it is asked only when the evidence directory did not do.
  if (step.satisfied || containerd_namespace.empty()) return step;
  content_.Find(containerd_namespace, image, found);
  return trust::VerifySignatures(requirement, image, found);
}

policy::ReasonStep ImageJudge::JudgeScan(const trust::ScanRequirement& requirement, const oci::ImageIdentity& image) {
  return trust::EvaluateScan(requirement, image, evidence_.FindReports(image), clock_.WallNanos());
}

}  // namespace bulwark::admission
