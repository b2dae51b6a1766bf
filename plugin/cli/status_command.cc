// bulwarkctl status, bulwarkctl reload.
#include <stdio.h>

#include "plugin/cli/commands.h"
#include "plugin/cli/daemon_connection.h"
#include "plugin/cli/reasoning.h"

namespace bulwark::cli {
namespace {

void PrintRow(const char* name, const std::string& value) { printf("%-14s %s\n", name, Printable(value).c_str()); }

void PrintStatus(const v1::StatusResponse& status) {
  PrintRow("version", status.version() + ", pid " + std::to_string(status.pid()));
  PrintRow("policy", std::to_string(status.policy_rules()) + " rules, default mode " + status.policy_mode() + ", " +
                         (status.policy_digest().empty() ? "none loaded: everything is denied" : status.policy_digest()));
  if (!status.policy_error().empty()) PrintRow("policy error", status.policy_error());
  PrintRow("containerd", status.containerd_address() + (status.containerd_reachable()
                                                            ? ", version " + status.containerd_version()
                                                            : ", NOT REACHABLE: every start is denied"));
  PrintRow("gate", status.gate_socket());
  PrintRow("audit log", status.audit_directory() + ", durable to record " + std::to_string(status.audit_last_sequence()));
  if (!status.audit_error().empty()) PrintRow("audit error", status.audit_error());
  PrintRow("decisions", std::to_string(status.decisions_allowed()) + " allowed, " +
                            std::to_string(status.decisions_denied()) + " denied since start");
  PrintRow("evidence", std::to_string(status.evidence_objects()) + " objects");
  std::string profiles;
  for (const std::string& name : status.profiles()) profiles += (profiles.empty() ? "" : ", ") + name;
  PrintRow("profiles", profiles.empty() ? "none" : profiles);
}

int Status(const Context& context) {
  grpc::ClientContext call;
  SetDeadline(call);
  v1::StatusResponse status;
  const grpc::Status result = v1::Node::NewStub(Connect(context))->Status(&call, {}, &status);
  if (!result.ok()) return ReportFailure(context, "ask bulwarkd for its status", result);
  if (context.is_json()) {
    PrintJson(status, true);
  } else {
    PrintStatus(status);
  }
  return kExitOk;
}

int Reload(const Context& context) {
  grpc::ClientContext call;
  SetDeadline(call);
  v1::ReloadResponse response;
  const grpc::Status result = v1::Node::NewStub(Connect(context))->Reload(&call, {}, &response);
  if (!result.ok()) return ReportFailure(context, "reload", result);
  if (context.is_json()) {
    PrintJson(response, true);
  } else if (response.applied()) {
    printf("reloaded: policy %s\n", response.policy_digest().c_str());
  } else {
    fprintf(stderr, "bulwarkctl: not applied, the last good state stays: %s\n", response.error().c_str());
  }
  return response.applied() ? kExitOk : kExitRefused;
}

}  // namespace

void AddStatusCommands(CLI::App& app, Context& context) {
  app.add_subcommand("status", "What the daemon is doing: policy, containerd, audit log, decisions")
      ->callback([&context] { context.exit_status = Status(context); });
  app.add_subcommand("reload", "Read policies, profiles and evidence again")
      ->callback([&context] { context.exit_status = Reload(context); });
}

}  // namespace bulwark::cli
