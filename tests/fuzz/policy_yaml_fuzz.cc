// A policy file from anyone: parsing never crashes, hangs or accepts what it must refuse, and what it accepts answers.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <string>
#include <utility>

#include "plugin/policy/evaluator.h"
#include "plugin/policy/policy_parser.h"

namespace {

constexpr char kKey[] = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQ==\n-----END PUBLIC KEY-----\n";

void Require(bool holds) {
  if (!holds) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using bulwark::policy::Mode;
  const bulwark::policy::PolicyFile file = {"/p/policy.yaml",
                                            std::string(reinterpret_cast<const char*>(data), size)};
  const auto set = bulwark::policy::ParsePolicy(
      {&file, 1}, [](const std::string&) -> bulwark::base::Result<std::string> { return std::string(kKey); });
  if (!set) {
    Require(set.error().message().rfind("/p/policy.yaml:", 0) == 0);
    return 0;
  }
  bulwark::oci::ImageIdentity image;
  image.reference = "registry.corp/prod/app:1";
  image.manifest_digest = "sha256:" + std::string(64, 'a');
  const bulwark::policy::Rule* rule = set->Match(image, "k8s.io", "default");
  auto decision = Combine(*set, rule, {MatchStep(*set, rule)});
  Summarise(decision, image, "start");
  Require(decision.message.size() <= bulwark::policy::kMessageBytesMax);
  Require(decision.allowed || decision.mode == Mode::kEnforce);
  if (rule != nullptr) MatchExec(rule->exec, {{"/bin/true"}, false, false, 0});
  return 0;
}
