// The parts of a policy that say whom and what to trust: `authorities`, `require.signatures` and `require.scan`.
// Internal to plugin/policy; policy_parser.cc calls it. Pure but for the key reader it is given.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "lib/base/result.h"
#include "plugin/policy/policy_parser.h"
#include "plugin/policy/yaml_reader.h"
#include "plugin/trust/requirement.h"

namespace bulwark::policy {

using Authorities = std::map<std::string, trust::Authority>;

// The text of one key file that was read, for the digest of the set.
struct KeyText {
  std::string file;
  std::string text;
};

// Adds the authorities of one document to `authorities`, reading their keys; a name that is there already is an error.
// Relative key paths are resolved against the directory of `path`.
base::Status ParseAuthorities(const std::string& path, const YamlNode& node, const KeyReader& read_key,
                              const KeyCheck& check_key, Authorities* authorities, std::vector<KeyText>* keys);

base::Result<trust::SignatureRequirement> ParseSignatures(const std::string& path, const YamlNode& node,
                                                          const Authorities& authorities);
base::Result<trust::ScanRequirement> ParseScan(const std::string& path, const YamlNode& node);

}  // namespace bulwark::policy
