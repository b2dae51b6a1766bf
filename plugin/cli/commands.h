// The commands of bulwarkctl, one function for each group: it adds its subcommands to the application; the one that is
// chosen stores its exit status in `context`. Manual: docs/man/bulwarkctl.1.md.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace bulwark::cli {

// Documented exit statuses. `audit verify` adds those of audit::VerifyCode (10, 11, 13).
inline constexpr int kExitOk = 0;
inline constexpr int kExitRefused = 1;      // denied, rejected or failed
inline constexpr int kExitUsage = 2;
inline constexpr int kExitUnreachable = 3;  // the daemon does not answer

struct Context {
  std::string socket = "/run/bulwark/bulwarkd.sock";
  std::string output = "table";
  int exit_status = kExitOk;

  bool is_json() const { return output == "json"; }
};

void AddStatusCommands(CLI::App& app, Context& context);  // status, reload
void AddPolicyCommands(CLI::App& app, Context& context);  // policy check
void AddImageCommands(CLI::App& app, Context& context);   // image check
void AddAuditCommands(CLI::App& app, Context& context);   // audit tail, query, verify
void AddExplainCommand(CLI::App& app, Context& context);  // explain

}  // namespace bulwark::cli
