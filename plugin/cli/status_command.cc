// bulwarkctl status, bulwarkctl reload.
#include <stdio.h>

#include "plugin/cli/commands.h"
#include "plugin/cli/daemon_connection.h"
#include "plugin/cli/reasoning.h"

namespace bulwark::cli {
namespace {

void PrintRow(const char* name, const std::string& value) { printf("%-14s %s\n", name, Printable(value).c_str()); }

std::string ProblemText(const v1::FileProblem& problem) { return problem.path() + ": " + problem.problem(); }

void PrintProblem(const v1::FileProblem& problem) { PrintRow("", ProblemText(problem)); }

// An older daemon tells only whether all of it was applied.
void PrintReload(const v1::ReloadResponse& response) {
  const bool has_parts = !response.policy_error().empty() || !response.profiles_error().empty();
  if (response.applied() || (has_parts && response.policy_applied())) {
    printf("reloaded: policy %s\n", Printable(response.policy_digest()).c_str());
  }
  if (!response.policy_error().empty()) {
    fprintf(stderr, "bulwarkctl: policy not applied, the last good one stays: %s\n",
            Printable(response.policy_error()).c_str());
  }
  if (!response.profiles_error().empty()) {
    fprintf(stderr, "bulwarkctl: broken profiles, the last good one of each name stays: %s\n",
            Printable(response.profiles_error()).c_str());
  }
  if (!response.applied() && !has_parts) {
    fprintf(stderr, "bulwarkctl: not applied, the last good state stays: %s\n", Printable(response.error()).c_str());
  }
}

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
  PrintRow("evidence", std::to_string(status.evidence_objects()) + " objects" +
                           (status.evidence_problem_count() == 0
                                ? ""
                                : ", " + std::to_string(status.evidence_problem_count()) + " cannot be read"));
  for (const v1::FileProblem& problem : status.evidence_problems()) PrintProblem(problem);
  const auto shown = static_cast<uint32_t>(status.evidence_problems_size());
  if (shown < status.evidence_problem_count()) {
    PrintRow("", "and " + std::to_string(status.evidence_problem_count() - shown) + " more");
  }
  std::string profiles;
  for (const std::string& name : status.profiles()) profiles += (profiles.empty() ? "" : ", ") + name;
  PrintRow("profiles", profiles.empty() ? "none" : profiles);
  for (const v1::FileProblem& problem : status.profile_problems()) PrintRow("profile error", ProblemText(problem));
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
  } else {
    PrintReload(response);
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
