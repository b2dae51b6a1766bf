// One element of `rules`: what it matches, what it requires, how it hardens, which execs it lets in. Internal to
// plugin/policy; policy_parser.cc calls it. Pure.
#pragma once

#include <string>

#include "lib/base/result.h"
#include "plugin/policy/requirement_parser.h"
#include "plugin/policy/rule.h"
#include "plugin/policy/yaml_reader.h"

namespace bulwark::policy {

// `defaults` gives the mode of a rule that names none.
base::Result<Rule> ParseRule(const std::string& path, const YamlNode& node, const Authorities& authorities,
                             const Defaults& defaults);

base::Result<Action> ParseAction(const std::string& path, const YamlNode& node);
base::Result<Mode> ParseMode(const std::string& path, const YamlNode& node);

}  // namespace bulwark::policy
