// The policy decision point: takes what a shim asks through identity, policy, evidence and profile to a decision that is
// durable in the audit log before it is answered. It joins the areas; each of them knows nothing of the others.
//
// Whatever goes wrong on the way is a step that is not satisfied, and so a deny (or, in mode audit, a recorded
// would-deny): there is no path on which an error allows. No call leaves this machine: containerd is asked over its unix
// socket, evidence is read from disk.
//
// Thread-safe; calls block on containerd, the disk and one group commit of the audit log.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "plugin/admission/container_store.h"
#include "plugin/admission/counters.h"
#include "plugin/admission/identity_resolver.h"
#include "plugin/admission/image_judge.h"
#include "plugin/admission/profile_source.h"
#include "plugin/admission/request.h"
#include "plugin/audit/record.h"
#include "plugin/policy/policy_store.h"

namespace bulwark::admission {

// Files that no container may get a mount of unless its rule has allowPrivileged: ours and containerd's sockets.
struct OwnPaths {
  std::vector<std::string> protected_paths;    // absolute: these, what lies below, and what holds them
  std::vector<std::string> unprotected_paths;  // what lies below these all the same
};

class Admission {
 public:
  struct Dependencies {  // no reference is owned; all outlive this
    policy::PolicyStore& policies;
    IdentityResolver& resolver;
    ImageJudge& judge;
    const ProfileSource& profiles;
    ContainerStore& containers;
    audit::Recorder& recorder;
    OwnPaths own_paths;
  };
  explicit Admission(Dependencies dependencies) : dependencies_(std::move(dependencies)) {}

  Answer AdmitCreate(const CreateRequest& request);
  Answer AdmitExec(const ExecRequest& request);

  Counters CountersNow() const { return counters_.Now(); }

 private:
  // Fill in `container` as far as it is known, and replace `spec` by the hardened one.
  policy::Decision DecideCreate(const policy::PolicySet& policies, const CreateRequest& request,
                                AdmittedContainer& container, std::string& spec);
  policy::Decision DecideExec(const policy::PolicySet& policies, const ExecRequest& request,
                              const base::Result<AdmittedContainer>& known, std::string& spec,
                              v1::AuditRecord& record);

  // Puts the decision into words and on record; an answer that could not be recorded becomes a deny.
  Answer Conclude(policy::Decision decision, AdmittedContainer container, std::string effective_spec,
                  v1::AuditRecord record_base);

  const Dependencies dependencies_;
  AtomicCounters counters_;
};

}  // namespace bulwark::admission
