// Plain data: what a policy rule asks of signatures and of scan reports. Filled by plugin/policy, judged by plugin/trust.
#pragma once

#include <stdint.h>

#include <map>
#include <string>
#include <vector>

namespace bulwark::trust {

// Somebody whose word counts: one or more public keys, any of which speaks for the authority.
struct Authority {
  std::string name;
  std::vector<std::string> key_pems;   // PEM "PUBLIC KEY", one block each
  std::vector<std::string> key_files;  // where they came from, for messages; as many as key_pems
};

// How the signed docker-reference must fit the reference that is started (containers-policy.json(5), signedIdentity).
enum class ReferenceMatch {
  kRepository,         // same repository, any tag
  kRepoDigestOrExact,  // exact, or same repository when started by digest
  kExact,              // same repository, tag and digest
  kAny,                // not compared
};

struct SignatureRequirement {
  std::vector<Authority> authorities;
  unsigned at_least = 1;  // distinct authorities, counted by key
  ReferenceMatch reference_match = ReferenceMatch::kRepository;
  // Mirrors: a started reference below `remap_prefix` is compared as if it lay below `remap_signed_prefix`. Empty: none.
  std::string remap_prefix;
  std::string remap_signed_prefix;
  std::map<std::string, std::string> annotations;  // must be in the signed payload's "optional", as strings
  bool accept_index = true;     // a signature on the index that lists the manifest counts
  bool accept_manifest = true;  // a signature on the platform manifest counts
};

// In rising order. kUnknown is what a scanner could not rate; `unknown_as` says how to treat it.
enum class Severity { kNone, kUnknown, kNegligible, kLow, kMedium, kHigh, kCritical };

struct ScanRequirement {
  int64_t max_age_ns = 0;                     // of the report, by the time it states; 0: not limited
  Severity block_severity = Severity::kHigh;  // findings at or above refuse
  bool fixable_only = false;                  // only findings that a newer version fixes refuse
  Severity unknown_as = Severity::kHigh;
  bool refuse_end_of_life = true;             // an end-of-life distribution has no vulnerability data worth the name
  std::vector<std::string> accepted_findings;  // ids that do not refuse
  std::vector<std::string> scanners;           // allowed tools, e.g. "trivy"; empty: any that is understood
};

}  // namespace bulwark::trust
