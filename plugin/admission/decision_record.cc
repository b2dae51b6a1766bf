#include "plugin/admission/decision_record.h"

#include "plugin/policy/rule.h"

namespace bulwark::admission {

v1::Outcome OutcomeOf(const policy::Decision& decision) {
  if (decision.would_deny) return v1::WOULD_DENY;
  if (decision.allowed) return v1::ALLOWED;
  return decision.reason_code == policy::reason::kEngineError ? v1::ERROR : v1::DENIED;
}

void FillContainer(const AdmittedContainer& container, v1::ContainerRef* out) {
  out->set_containerd_namespace(container.containerd_namespace);
  out->set_id(container.id);
  out->set_image_reference(container.image.reference);
  out->set_image_digest(container.image.manifest_digest);
  out->set_index_digest(container.image.index_digest);
  out->set_config_digest(container.image.config_digest);
  out->set_chain_id(container.image.chain_id);
  out->set_sandbox_id(container.sandbox_id);
  out->set_pod_namespace(container.pod_namespace);
  out->set_pod_name(container.pod_name);
  out->set_pod_uid(container.pod_uid);
  out->set_container_name(container.container_name);
}

void FillPolicy(const policy::Decision& decision, v1::PolicyRef* out) {
  out->set_digest(decision.policy_digest);
  out->set_rule(decision.rule);
  out->set_mode(std::string(policy::ModeName(decision.mode)));
  out->set_file(decision.rule_file);
}

void FillReasoning(const policy::Decision& decision, google::protobuf::RepeatedPtrField<v1::ReasonStep>* out) {
  for (const policy::ReasonStep& step : decision.steps) {
    v1::ReasonStep* added = out->Add();
    added->set_check(step.check);
    added->set_satisfied(step.satisfied);
    added->set_code(step.code);
    added->set_detail(step.detail);
    for (const std::string& evidence : step.evidence) added->add_evidence(evidence);
  }
}

v1::AuditRecord RecordOf(const policy::Decision& decision, const std::string& decision_id,
                         const AdmittedContainer& container) {
  v1::AuditRecord record;
  record.set_outcome(OutcomeOf(decision));
  record.set_decision_id(decision_id);
  FillContainer(container, record.mutable_container());
  FillPolicy(decision, record.mutable_policy());
  FillReasoning(decision, record.mutable_reasoning());
  record.set_reason_code(decision.reason_code);
  record.set_message(decision.message);
  return record;
}

}  // namespace bulwark::admission
