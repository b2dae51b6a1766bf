// From YAML to a PolicySet, strictly: whatever is not understood is an error, because a security policy that is half
// understood is worse than none. Pure: text in, value or error out; the key files that a policy names are read through a
// callback. The format is docs/formats/policy.md (and man page bulwark-policy(5)).
//
// Refused, each with file:line:column: unknown and duplicate keys (with a suggestion), anchors, aliases, merge keys,
// tags, wrong types ("yes" is not a bool), durations without a unit, unknown severities, files above 1 MiB, nesting
// above 16, a rule that can never apply, and two rules that tie.
#pragma once

#include <stddef.h>

#include <functional>
#include <span>
#include <string>

#include "lib/base/result.h"
#include "plugin/policy/policy_set.h"

namespace bulwark::policy {

struct PolicyFile {
  std::string path;  // absolute or relative; only used in messages and to resolve relative key paths
  std::string text;
};

// Gives the text of a key file. `path` is absolute, or relative to the working directory if the policy file's path is.
using KeyReader = std::function<base::Result<std::string>(const std::string& path)>;

// Looks at one PEM block "PUBLIC KEY" before it is accepted; an error rejects the policy at load instead of the first
// start. May be empty: then only the PEM frame is checked. (plugin/trust can say more, but areas don't know each other.)
using KeyCheck = std::function<base::Status(const std::string& pem)>;

inline constexpr size_t kPolicyFileBytesMax = size_t{1} << 20;
inline constexpr size_t kPolicyFilesMax = 256;
inline constexpr size_t kKeyFileBytesMax = size_t{64} << 10;

// Parses all files as one set. No files at all gives a set that denies everything. The set is rejected whole if any part
// is bad: kInvalidArgument with the first error, as "file:line:column: what is wrong; what to do".
base::Result<PolicySet> ParsePolicy(std::span<const PolicyFile> files, const KeyReader& read_key,
                                    const KeyCheck& check_key = {});

}  // namespace bulwark::policy
