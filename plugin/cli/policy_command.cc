// bulwarkctl policy check: offline, with the daemon's own parser.
#include <stdio.h>

#include <iterator>
#include <memory>
#include <vector>

#include <nlohmann/json.hpp>

#include "plugin/cli/commands.h"
#include "plugin/cli/daemon_connection.h"
#include "plugin/policy/policy_parser.h"
#include "plugin/policy/policy_store.h"
#include "plugin/trust/public_key.h"

namespace bulwark::cli {
namespace {

base::Status CheckKey(const std::string& pem) {
  if (auto key = trust::PublicKey::FromPem(pem); !key) return std::move(key).error();
  return base::OkStatus();
}

base::Result<policy::PolicySet> Parse(const std::vector<std::string>& paths) {
  std::vector<policy::PolicyFile> files;
  for (const std::string& path : paths) {
    ASSIGN_OR_RETURN(std::vector<policy::PolicyFile> found, policy::ReadPolicyFiles(path, false));
    std::move(found.begin(), found.end(), std::back_inserter(files));
  }
  // An empty directory is a policy too (it denies everything), but hardly what somebody wants to have checked.
  if (files.empty()) {
    return base::Error::Make(base::Code::kNotFound, "{}: no file ends in .yaml or .yml", fmt::join(paths, ", "));
  }
  return policy::ParsePolicy(files, policy::FileKeyReader(false), CheckKey);
}

void PrintJson(const base::Result<policy::PolicySet>& set) {
  nlohmann::ordered_json document = {{"schema_version", kJsonSchemaVersion}, {"good", set.has_value()}};
  if (set) {
    document["digest"] = set->digest();
    document["rules"] = nlohmann::ordered_json::array();
    for (const policy::Rule& rule : set->rules()) {
      document["rules"].push_back({{"name", rule.name},
                                   {"mode", policy::ModeName(rule.mode)},
                                   {"action", rule.action == policy::Action::kAllow ? "allow" : "deny"},
                                   {"file", rule.file},
                                   {"line", rule.line},
                                   {"images", rule.match.images}});
    }
  } else {
    document["error"] = set.error().message();
  }
  printf("%s\n", document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

void PrintTable(const policy::PolicySet& set) {
  printf("good: %zu rules, %s\n", set.rules().size(), set.digest().c_str());
  for (const policy::Rule& rule : set.rules()) {
    const std::string mode(rule.action == policy::Action::kAllow ? policy::ModeName(rule.mode) : "deny");
    printf("  %-24s %-8s %s:%d\n", rule.name.c_str(), mode.c_str(), rule.file.c_str(), rule.line);
  }
}

int Check(const Context& context, const std::vector<std::string>& paths) {
  const auto set = Parse(paths);
  if (context.is_json()) PrintJson(set);
  if (!set) {
    fprintf(stderr, "%s\n", set.error().message().c_str());
    return kExitRefused;
  }
  if (!context.is_json()) PrintTable(*set);
  return kExitOk;
}

}  // namespace

void AddPolicyCommands(CLI::App& app, Context& context) {
  CLI::App* policy = app.add_subcommand("policy", "Policies")->require_subcommand(1);
  CLI::App* check = policy->add_subcommand("check", "Parse policy files as the daemon would; needs no daemon");
  auto paths = std::make_shared<std::vector<std::string>>();
  check->add_option("PATH", *paths, "Files, or directories of *.yaml")->required();
  check->callback([&context, paths] { context.exit_status = Check(context, *paths); });
}

}  // namespace bulwark::cli
