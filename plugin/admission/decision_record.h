// How a decision becomes an audit record, and back into words for the API. Pure.
#pragma once

#include <string>

#include "bulwark/v1/audit_record.pb.h"
#include "plugin/admission/container_store.h"
#include "plugin/policy/decision.h"

namespace bulwark::admission {

// ALLOWED, DENIED, WOULD_DENY (mode audit), or ERROR when the engine itself failed and therefore denied.
v1::Outcome OutcomeOf(const policy::Decision& decision);

void FillContainer(const AdmittedContainer& container, v1::ContainerRef* out);
void FillPolicy(const policy::Decision& decision, v1::PolicyRef* out);
void FillReasoning(const policy::Decision& decision, google::protobuf::RepeatedPtrField<v1::ReasonStep>* out);

// Everything of a decision except what only the caller knows (event type, process, principal).
v1::AuditRecord RecordOf(const policy::Decision& decision, const std::string& decision_id,
                         const AdmittedContainer& container);

}  // namespace bulwark::admission
