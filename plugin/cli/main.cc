// bulwarkctl: the command line. Manual: docs/man/bulwarkctl.1.md.
#include "plugin/cli/commands.h"

int main(int argc, char** argv) {
  using namespace bulwark::cli;  // NOLINT(google-build-using-namespace): main only names what this library offers
  CLI::App app("Asks bulwarkd: its status, why it decided as it did, what its audit log says");
  Context context;
  app.add_option("--socket", context.socket, "bulwarkd's API socket")->capture_default_str();
  app.add_option("-o,--output", context.output, "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  app.set_version_flag("--version", std::string("bulwarkctl ") + BULWARK_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.footer("Exit status: 0 ok; 1 denied, rejected or failed; 2 usage; 3 bulwarkd does not answer.");
  AddStatusCommands(app, context);
  AddPolicyCommands(app, context);
  AddImageCommands(app, context);
  AddAuditCommands(app, context);
  AddExplainCommand(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  return context.exit_status;
}
