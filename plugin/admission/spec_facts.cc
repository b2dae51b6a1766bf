#include "plugin/admission/spec_facts.h"

#include <utility>

#include "lib/oci/runtime_spec.h"

namespace bulwark::admission {

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
  facts.uid = static_cast<uint32_t>(user.uid);
  facts.gid = static_cast<uint32_t>(user.gid);
  return facts;
}

}  // namespace bulwark::admission
