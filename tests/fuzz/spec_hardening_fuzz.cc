// Runtime specs from containerd, hardened: what comes out can be hardened again, and settles: a pass over an intersected spec
// changes nothing. The same bytes as an exec's process do no harm either.
#include <stddef.h>
#include <stdint.h>

#include "lib/seccomp/profile_json.h"
#include "plugin/profiles/spec_hardening.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bulwark;  // NOLINT(google-build-using-namespace)
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static const auto profile = std::make_shared<seccomp::Profile>(
      seccomp::ParseProfile(R"({"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW"}]})")
          .value());
  profiles::HardeningRequest request;
  request.seccomp = profile;
  request.seccomp_name = "fuzz";
  request.capabilities_max = {"CAP_CHOWN"};
  request.no_new_privileges = request.readonly_rootfs = true;
  request.forbid_privileged = true;
  request.protected_paths = {"/etc/bulwark"};
  request.masked_paths = {"/proc/kcore"};
  const auto once = profiles::HardenRuntimeSpec(text, request);
  if (once.has_value()) {
    const auto twice = profiles::HardenRuntimeSpec(once->spec_json, request);
    BULWARK_CHECK(twice.has_value());
    const auto again = profiles::HardenRuntimeSpec(twice->spec_json, request);
    BULWARK_CHECK(again.has_value() && again->spec_json == twice->spec_json);
  }
  const auto process = profiles::HardenProcessSpec(text, R"({"noNewPrivileges":true})");
  if (process.has_value()) {
    const auto again = profiles::HardenProcessSpec(process->spec_json, R"({"noNewPrivileges":true})");
    BULWARK_CHECK(again.has_value() && again->spec_json == process->spec_json);
  }
  return 0;
}
