// bulwarkctl policy check: offline, with the daemon's own parser.
#include <stdio.h>

#include <iterator>
#include <memory>
#include <vector>

#include "plugin/cli/commands.h"
#include "plugin/policy/policy_parser.h"
#include "plugin/policy/policy_store.h"

namespace bulwark::cli {
namespace {

base::Result<policy::PolicySet> Parse(const std::vector<std::string>& paths) {
  std::vector<policy::PolicyFile> files;
  for (const std::string& path : paths) {
    ASSIGN_OR_RETURN(std::vector<policy::PolicyFile> found, policy::ReadPolicyFiles(path, false));
    std::move(found.begin(), found.end(), std::back_inserter(files));
  }
  return policy::ParsePolicy(files, policy::FileKeyReader(false));
}

int Check(const Context& context, const std::vector<std::string>& paths) {
  const auto set = Parse(paths);
  if (!set) {
    fprintf(stderr, "%s\n", set.error().message().c_str());
    return kExitRefused;
  }
  if (context.is_json()) {
    printf("{\"version\":1,\"good\":true,\"rules\":%zu,\"digest\":\"%s\"}\n", set->rules().size(), set->digest().c_str());
  } else {
    printf("good: %zu rules, %s\n", set->rules().size(), set->digest().c_str());
    for (const policy::Rule& rule : set->rules()) {
      printf("  %-24s %-8s %s:%d\n", rule.name.c_str(), std::string(policy::ModeName(rule.mode)).c_str(),
             rule.file.c_str(), rule.line);
    }
  }
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
