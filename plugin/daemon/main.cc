// bulwarkd: command line, signals, and nothing else. Manual: docs/man/bulwarkd.8.md.
//
// Exit status: 0 stopped by SIGTERM or SIGINT; 1 could not start or failed; 2 usage or configuration.
#include <signal.h>
#include <stdio.h>

#include <CLI/CLI.hpp>
#include <string>

#include "lib/base/file_io.h"
#include "lib/base/logging.h"
#include "plugin/config/config_parser.h"
#include "plugin/daemon/daemon.h"

namespace {

using bulwark::base::LogError;
using bulwark::base::LogInfo;

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

sigset_t WatchedSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGHUP, SIGINT, SIGTERM}) sigaddset(&signals, signal);
  return signals;
}

// SIGHUP reads policies, profiles and evidence again; SIGTERM and SIGINT end.
void ServeUntilStopped(bulwark::daemon::Daemon& daemon, const sigset_t& signals) {
  for (;;) {
    int signal = 0;
    if (sigwait(&signals, &signal) != 0) continue;
    if (signal != SIGHUP) return;
    const auto reloaded = daemon.Reload();
    if (reloaded.applied()) {
      LogInfo("reloaded", {{"policy", reloaded.policy_digest()}});
    } else {
      LogError("reloaded in part: what is broken keeps its last good state",
               {{"policy", reloaded.policy_digest()}, {"error", reloaded.error()}});
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("bulwark node daemon: decides which containers may start and who may exec into them, and keeps the record");
  std::string path = bulwark::config::kDefaultPath;
  bool check_only = false;
  app.add_option("--config", path, "Configuration file (TOML)")->capture_default_str();
  app.add_flag("--check-config", check_only, "Read the configuration, say whether it is good, and exit");
  app.set_version_flag("--version", std::string("bulwarkd ") + BULWARK_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  const auto config = bulwark::config::LoadConfig(path);
  if (!config) {
    fprintf(stderr, "bulwarkd: %s\n", config.error().message().c_str());
    return kExitUsage;
  }
  if (check_only) {
    printf("%s: good\n", path.c_str());
    return 0;
  }
  bulwark::base::SetLogSink(2, config->log.level);
  signal(SIGPIPE, SIG_IGN);
  // Blocked before the first thread starts, so that every thread inherits it and only sigwait takes them.
  const sigset_t signals = WatchedSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  auto daemon = bulwark::daemon::Daemon::Start(*config);
  if (!daemon) {
    fprintf(stderr, "bulwarkd: cannot start: %s\n", daemon.error().message().c_str());
    return kExitFailed;
  }
  LogInfo("serving", {{"gate", config->gate.socket}, {"api", config->api.socket}});
  ServeUntilStopped(**daemon, signals);
  LogInfo("stopping");
  return 0;
}
