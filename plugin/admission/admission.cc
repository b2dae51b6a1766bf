#include "plugin/admission/admission.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "lib/base/random.h"
#include "plugin/admission/decision_record.h"
#include "plugin/admission/spec_facts.h"
#include "plugin/audit/redaction.h"
#include "plugin/policy/evaluator.h"
#include "plugin/profiles/host_view.h"
#include "plugin/profiles/spec_hardening.h"

namespace bulwark::admission {
namespace {

using base::Code;
namespace reason = policy::reason;

constexpr size_t kEnvironmentNamesMax = 256;

policy::ReasonStep Failed(std::string check, std::string_view code, std::string detail) {
  return {std::move(check), false, std::string(code), std::move(detail), {}};
}

// The first of the two codes fits errors of the document, the second a profile that cannot be applied.
policy::ReasonStep HardeningFailed(const base::Error& error) {
  std::string_view code = reason::kEngineError;
  if (error.code() == Code::kInvalidArgument || error.code() == Code::kResourceExhausted) code = reason::kSpecInvalid;
  if (error.code() == Code::kPermissionDenied) code = reason::kSpecForbidden;
  if (error.code() == Code::kFailedPrecondition) code = reason::kProfileUnmergeable;
  return Failed("profile", code, error.message());
}

base::Result<profiles::HardeningRequest> RequestOf(const policy::Profile& profile, const ProfileSource& source,
                                                   std::vector<std::string>& evidence) {
  profiles::HardeningRequest request;
  if (profile.seccomp) {
    ASSIGN_OR_RETURN(const profiles::StoredProfile stored, source.Current()->Get(*profile.seccomp));
    request.seccomp = stored.profile;
    request.seccomp_name = stored.name;
    evidence.push_back(stored.path + " " + stored.digest);
  }
  request.capabilities_max = profile.capabilities;
  request.no_new_privileges = profile.no_new_privileges;
  request.readonly_rootfs = profile.readonly_rootfs;
  request.masked_paths = profile.masked_paths;
  request.readonly_paths = profile.readonly_paths;
  request.forbid_host_namespaces = !profile.allow_host_namespaces;
  request.forbid_privileged = !profile.allow_privileged;
  request.forbid_hooks = !profile.allow_hooks;
  return request;
}

std::string DescribeChanges(const std::vector<std::string>& changes) {
  return changes.empty() ? "nothing to tighten" : fmt::format("{}", fmt::join(changes, "; "));
}

// Tightens the spec as the profile says. On success `spec` is replaced.
policy::ReasonStep Harden(const policy::Profile& profile, const Admission::Dependencies& from, const std::string& bundle,
                          std::string& spec) {
  policy::ReasonStep step{"profile", true, std::string(reason::kOk), "", {}};
  auto request = RequestOf(profile, from.profiles, step.evidence);
  if (!request) return Failed("profile", reason::kProfileUnavailable, request.error().message());
  request->bundle = bundle;
  request->protected_paths = from.own_paths.protected_paths;
  request->unprotected_paths = from.own_paths.unprotected_paths;
  request->host = profiles::RealHost();
  auto hardened = profiles::HardenRuntimeSpec(spec, *request);
  if (!hardened) return HardeningFailed(hardened.error());
  spec = std::move(hardened->spec_json);
  step.detail = DescribeChanges(hardened->changes);
  return step;
}

// The profile to harden with; null if nothing is to be changed. In mode audit nothing about the container changes, so that
// switching a rule on can be tried without risk. A container let in by the defaults alone gets what every profile gives.
const policy::Profile* ProfileFor(const policy::PolicySet& policies, const policy::Rule* rule) {
  static const policy::Profile kEmpty;
  if (rule != nullptr) return rule->mode == policy::Mode::kEnforce ? &rule->profile : nullptr;
  const policy::Defaults& defaults = policies.defaults();
  const bool applies = defaults.action == policy::Action::kAllow && defaults.mode == policy::Mode::kEnforce;
  return applies ? &kEmpty : nullptr;
}

// Whether the container is known by its content and not only by a name.
bool IsIdentified(const policy::Decision& decision) {
  return std::none_of(decision.steps.begin(), decision.steps.end(),
                      [](const policy::ReasonStep& step) { return step.check == "identity" && !step.satisfied; });
}

// Holds the exec's process to its container's. On success `spec` is replaced.
policy::ReasonStep HardenExec(const ExecRequest& request, std::string& spec) {
  auto hardened = profiles::HardenProcessSpec(request.process_spec, request.container_process_spec);
  if (!hardened) return HardeningFailed(hardened.error());
  spec = std::move(hardened->spec_json);
  return {"profile", true, std::string(reason::kOk), DescribeChanges(hardened->changes), {}};
}

void FillProcess(const ProcessFacts& facts, bool terminal, bool has_stdin, v1::ProcessRef* out) {
  for (const std::string& argument : audit::RedactArgv(facts.argv)) out->add_argv(argument);
  for (size_t i = 0; i < std::min(facts.environment_names.size(), kEnvironmentNamesMax); ++i) {
    out->add_environment_names(facts.environment_names[i]);
  }
  out->set_cwd(facts.cwd);
  out->set_uid(facts.uid);
  out->set_gid(facts.gid);
  out->set_terminal(terminal);
  out->set_stdin(has_stdin);
}

// Who asked is not known at this point of containerd: the shim is told nothing about it.
v1::AuditRecord RecordBase(v1::EventType type) {
  v1::AuditRecord record;
  record.set_event_type(type);
  record.mutable_principal()->set_kind("unattributed");
  record.mutable_principal()->set_source("none");
  return record;
}

}  // namespace

policy::Decision Admission::DecideCreate(const policy::PolicySet& policies, const CreateRequest& request,
                                         AdmittedContainer& container, std::string& spec) {
  std::vector<policy::ReasonStep> steps;
  const auto facts = ReadSpecFacts(request.runtime_spec);
  if (!facts) {
    steps.push_back(Failed("spec", reason::kSpecInvalid, facts.error().message()));
    return policy::CombineUnidentified(
        policies, policies.ModeOfUnidentified(request.containerd_namespace, std::nullopt), nullptr, std::move(steps));
  }
  container.sandbox_id = facts->sandbox_id;
  container.pod_namespace = facts->pod_namespace;
  container.pod_name = facts->pod_name;
  container.pod_uid = facts->pod_uid;
  container.container_name = facts->container_name;
  if (!request.checkpoint.empty()) {
    steps.push_back(Failed("spec", reason::kSpecForbidden, "restoring from a checkpoint runs memory that nobody signed"));
  } else {
    ResolvedIdentity resolved = dependencies_.resolver.ResolveContainer(
        request.containerd_namespace, request.container_id, request.rootfs);
    container.image = std::move(resolved.image);
    steps.push_back(std::move(resolved.step));
  }
  if (!steps.back().satisfied) {
    // The name is not identity: a rule by digest, or for another name, could be the one that applies.
    oci::ImageIdentity named;
    named.reference = container.image.reference;
    return policy::CombineUnidentified(
        policies, policies.ModeOfUnidentified(request.containerd_namespace, container.pod_namespace),
        policies.Match(named, request.containerd_namespace, container.pod_namespace), std::move(steps));
  }
  JudgedImage judged =
      dependencies_.judge.Judge(policies, container.image, request.containerd_namespace, container.pod_namespace);
  for (policy::ReasonStep& step : judged.steps) steps.push_back(std::move(step));
  if (const policy::Profile* profile = ProfileFor(policies, judged.rule)) {
    steps.push_back(Harden(*profile, dependencies_, request.bundle, spec));
  }
  return policy::Combine(policies, judged.rule, std::move(steps));
}

Answer Admission::AdmitCreate(const CreateRequest& request) {
  const std::shared_ptr<const policy::PolicySet> policies = dependencies_.policies.Current();
  AdmittedContainer container;
  container.containerd_namespace = request.containerd_namespace;
  container.id = request.container_id;
  std::string spec = request.runtime_spec;
  policy::Decision decision = DecideCreate(*policies, request, container, spec);
  v1::AuditRecord record = RecordBase(v1::CREATE_DECISION);
  if (request.shim_pid != 0) (*record.mutable_attributes())["shim_pid"] = std::to_string(request.shim_pid);
  (*record.mutable_attributes())["runtime"] = request.runtime_binary;
  return Conclude(std::move(decision), std::move(container), std::move(spec), std::move(record));
}

policy::Decision Admission::DecideExec(const policy::PolicySet& policies, const ExecRequest& request,
                                       const base::Result<AdmittedContainer>& known, std::string& spec,
                                       v1::AuditRecord& record) {
  std::vector<policy::ReasonStep> steps;
  if (!known) {
    steps.push_back(Failed("exec", reason::kExecContainerUnknown, known.error().message()));
    return policy::CombineUnidentified(
        policies, policies.ModeOfUnidentified(request.containerd_namespace, std::nullopt), nullptr, std::move(steps));
  }
  const auto facts = ReadProcessFacts(request.process_spec);
  if (facts) FillProcess(*facts, request.terminal, request.has_stdin, record.mutable_process());
  if (known->image.manifest_digest.empty()) {
    // Let in under mode audit without an identity: which rule would apply to it cannot be told now either.
    steps.push_back(Failed("exec", reason::kExecContainerUnknown, "the container was admitted without an identity"));
    return policy::CombineUnidentified(
        policies, policies.ModeOfUnidentified(request.containerd_namespace, known->pod_namespace), nullptr,
        std::move(steps));
  }
  const policy::Rule* rule = policies.Match(known->image, request.containerd_namespace, known->pod_namespace);
  if (!facts) {
    steps.push_back(Failed("exec", reason::kSpecInvalid, facts.error().message()));
    return policy::Combine(policies, rule, std::move(steps));
  }
  steps.push_back(policy::MatchStep(policies, rule));
  const policy::ExecRules none;
  steps.push_back(policy::MatchExec(rule != nullptr ? rule->exec : none,
                                    {facts->argv, request.terminal, request.has_stdin, facts->uid}));
  if (rule != nullptr && rule->mode == policy::Mode::kEnforce) {
    steps.push_back(HardenExec(request, spec));
  }
  return policy::Combine(policies, rule, std::move(steps));
}

Answer Admission::AdmitExec(const ExecRequest& request) {
  const std::shared_ptr<const policy::PolicySet> policies = dependencies_.policies.Current();
  v1::AuditRecord record = RecordBase(v1::EXEC_DECISION);
  record.mutable_process()->set_exec_id(request.exec_id);
  std::string spec = request.process_spec;
  const auto known = dependencies_.containers.Get(request.containerd_namespace, request.container_id);
  policy::Decision decision = DecideExec(*policies, request, known, spec, record);
  AdmittedContainer container = known ? *known : AdmittedContainer{};
  container.containerd_namespace = request.containerd_namespace;
  container.id = request.container_id;
  (*record.mutable_attributes())["create_decision_id"] = container.decision_id;
  return Conclude(std::move(decision), std::move(container), std::move(spec), std::move(record));
}

Answer Admission::Conclude(policy::Decision decision, AdmittedContainer container, std::string effective_spec,
                           v1::AuditRecord record_base) {
  const bool is_create = record_base.event_type() == v1::CREATE_DECISION;
  Answer answer;
  answer.decision_id = base::RandomHexId();
  if (is_create && decision.allowed) {
    container.decision_id = answer.decision_id;
    AdmittedContainer kept = container;
    // What was found out about the name stays in the record, but no exec is judged by it.
    if (!IsIdentified(decision)) {
      kept.image = {};
      kept.image.reference = container.image.reference;
    }
    if (auto stored = dependencies_.containers.Put(kept); !stored) {
      decision.allowed = false;
      decision.reason_code = reason::kEngineError;
      decision.steps.push_back(Failed("state", reason::kEngineError, stored.error().message()));
    }
  }
  policy::Summarise(decision, container.image, is_create ? "start" : "exec");
  decision.message += fmt::format(" [decision {}]", answer.decision_id);
  v1::AuditRecord record = RecordOf(decision, answer.decision_id, container);
  record.MergeFrom(record_base);
  const auto receipt = dependencies_.recorder.AppendDurable(std::move(record), audit::Lane::kGate);
  if (!receipt) {
    // No record, no start: also in mode audit, whose whole purpose is the record.
    decision.allowed = false;
    decision.would_deny = false;
    decision.reason_code = reason::kAuditUnavailable;
    decision.message = fmt::format("{} refused [{}]: the decision could not be recorded: {}. Next: {}",
                                   is_create ? "start" : "exec", reason::kAuditUnavailable, receipt.error().message(),
                                   policy::NextStep(reason::kAuditUnavailable));
    if (is_create) {
      static_cast<void>(
          dependencies_.containers.Remove(container.containerd_namespace, container.id, answer.decision_id));
    }
  }
  counters_.Count(decision.allowed);
  if (decision.allowed) answer.effective_spec = std::move(effective_spec);
  answer.decision = std::move(decision);
  return answer;
}

}  // namespace bulwark::admission
