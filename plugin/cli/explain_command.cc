// bulwarkctl explain: the record of one decision, with its reasoning.
#include <stdio.h>

#include <memory>

#include "plugin/audit/record_json.h"
#include "plugin/cli/commands.h"
#include "plugin/cli/daemon_connection.h"
#include "plugin/cli/reasoning.h"

namespace bulwark::cli {
namespace {

int Explain(const Context& context, const std::string& decision) {
  grpc::ClientContext call;
  SetDeadline(call);
  v1::ExplainRequest request;
  request.set_decision_id(decision);
  v1::RecordEntry entry;
  const grpc::Status result = v1::Audit::NewStub(Connect(context))->Explain(&call, request, &entry);
  if (!result.ok()) return ReportFailure(context, "explain decision " + decision, result);
  const v1::AuditRecord& record = entry.record();
  if (context.is_json()) {
    printf("%s\n", audit::RecordToJson(record).c_str());
    return kExitOk;
  }
  printf("%s\n\n", audit::RecordToLine(record).c_str());
  PrintReasoning(record.reasoning());
  return kExitOk;
}

}  // namespace

void AddExplainCommand(CLI::App& app, Context& context) {
  CLI::App* explain = app.add_subcommand("explain", "Why a decision was taken: every step and the evidence it looked at");
  auto decision = std::make_shared<std::string>();
  explain->add_option("DECISION", *decision, "The id at the end of a denial, or of a record")->required();
  explain->callback([&context, decision] { context.exit_status = Explain(context, *decision); });
}

}  // namespace bulwark::cli
