#include "plugin/admission/spec_facts.h"

#include <limits>
#include <utility>

#include "lib/oci/runtime_spec.h"

namespace bulwark::admission {
namespace {

// What does not fit would be judged as another user than crun might run it as (Go refuses it).
base::Result<uint32_t> NarrowId(std::string_view what, int64_t id) {
  if (id < 0 || id > std::numeric_limits<uint32_t>::max()) {
    return base::Error::Make(base::Code::kInvalidArgument, "runtime spec process.user.{} is {}: no 32 bit number", what, id);
  }
  return static_cast<uint32_t>(id);
}

}  // namespace

base::Result<SpecFacts> ReadSpecFacts(std::string_view runtime_spec) {
  ASSIGN_OR_RETURN(const oci::RuntimeSpec spec, oci::RuntimeSpec::Parse(runtime_spec));
  ASSIGN_OR_RETURN(const auto annotations, spec.Annotations());
  SpecFacts facts;
  const std::pair<std::string_view, std::string*> known[] = {
      {"io.kubernetes.cri.sandbox-id", &facts.sandbox_id},
      {"io.kubernetes.cri.sandbox-namespace", &facts.pod_namespace},
      {"io.kubernetes.cri.sandbox-name", &facts.pod_name},
      {"io.kubernetes.cri.sandbox-uid", &facts.pod_uid},
      {"io.kubernetes.cri.container-name", &facts.container_name},
  };
  for (const auto& [name, value] : annotations) {
    for (const auto& [key, field] : known) {
      if (name == key) *field = value;
    }
  }
  return facts;
}

base::Result<ProcessFacts> ReadProcessFacts(std::string_view process_spec) {
  ASSIGN_OR_RETURN(oci::RuntimeSpec spec, oci::RuntimeSpec::ParseProcess(process_spec));
  const oci::ProcessSpec process = spec.Process();
  ProcessFacts facts;
  ASSIGN_OR_RETURN(facts.argv, process.Args());
  ASSIGN_OR_RETURN(const std::vector<std::string> environment, process.Env());
  for (const std::string& variable : environment) facts.environment_names.push_back(variable.substr(0, variable.find('=')));
  ASSIGN_OR_RETURN(facts.cwd, process.Cwd());
  ASSIGN_OR_RETURN(const oci::ProcessUser user, process.User());
  ASSIGN_OR_RETURN(facts.uid, NarrowId("uid", user.uid));
  ASSIGN_OR_RETURN(facts.gid, NarrowId("gid", user.gid));
  for (const int64_t gid : user.additional_gids) {
    RETURN_IF_ERROR(NarrowId("additionalGids", gid));
  }
  return facts;
}

}  // namespace bulwark::admission
