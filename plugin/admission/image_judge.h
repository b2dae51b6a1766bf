// Judges an image by the policy rule that applies to it: are there the signatures and the scan report that the rule asks
// for? The part of a decision that is the same for a real start and for a dry run. Knows nothing of containers.
//
// Thread-safe; calls block on containerd's content store and on evidence files.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/clock.h"
#include "lib/oci/image_identity.h"
#include "plugin/admission/content_signatures.h"
#include "plugin/evidence/evidence_store.h"
#include "plugin/policy/decision.h"
#include "plugin/policy/policy_set.h"

namespace bulwark::admission {

struct JudgedImage {
  const policy::Rule* rule = nullptr;     // lives as long as the policy set that was passed in
  std::vector<policy::ReasonStep> steps;  // "policy", "signature", "scan": as far as the rule asks for them
};

class ImageJudge {
 public:
  ImageJudge(evidence::EvidenceStore& evidence, ContentSignatures& content, const base::Clock& clock)
      : evidence_(evidence), content_(content), clock_(clock) {}

  // `containerd_namespace` is empty for an image outside containerd: then only the evidence directory is searched. The
  // image.reference leads to signatures beside it and is compared with what was signed.
  JudgedImage Judge(const policy::PolicySet& policies, const oci::ImageIdentity& image,
                    const std::string& containerd_namespace, std::string_view kubernetes_namespace);

 private:
  policy::ReasonStep JudgeSignatures(const trust::SignatureRequirement& requirement, const oci::ImageIdentity& image,
                                     const std::string& containerd_namespace);
  policy::ReasonStep JudgeScan(const trust::ScanRequirement& requirement, const oci::ImageIdentity& image);

  evidence::EvidenceStore& evidence_;
  ContentSignatures& content_;
  const base::Clock& clock_;
};

}  // namespace bulwark::admission
