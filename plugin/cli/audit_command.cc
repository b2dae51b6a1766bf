// bulwarkctl audit tail, query, verify.
#include <stdio.h>

#include <algorithm>
#include <memory>

#include "plugin/audit/record_json.h"
#include "plugin/audit/verify.h"
#include "plugin/cli/commands.h"
#include "plugin/cli/daemon_connection.h"
#include "plugin/trust/scan_report.h"

namespace bulwark::cli {
namespace {

struct QueryArguments {
  v1::ReadRecordsRequest request;
  std::string since;
  std::string until;
};

void PrintEntry(const Context& context, const v1::RecordEntry& entry) {
  if (context.is_json()) {
    audit::ChainHash hash{};
    if (entry.chain_hash().size() == hash.size()) std::copy(entry.chain_hash().begin(), entry.chain_hash().end(), hash.begin());
    printf("%s\n", audit::RecordToJson(entry.record(), &hash).c_str());
  } else {
    printf("%s\n", audit::RecordToLine(entry.record()).c_str());
  }
}

int Read(const Context& context, const v1::ReadRecordsRequest& request) {
  grpc::ClientContext call;
  auto reader = v1::Audit::NewStub(Connect(context))->Read(&call, request);
  if (!context.is_json()) printf("%s\n", audit::RecordLineHeading().c_str());
  v1::RecordEntry entry;
  while (reader->Read(&entry)) {
    PrintEntry(context, entry);
    if (request.follow()) fflush(stdout);
  }
  const grpc::Status result = reader->Finish();
  return result.ok() ? kExitOk : ReportFailure(context, "read the audit log", result);
}

int Query(const Context& context, QueryArguments& arguments) {
  for (const auto& [text, is_since] : {std::pair(&arguments.since, true), std::pair(&arguments.until, false)}) {
    if (text->empty()) continue;
    const auto time = trust::ParseRfc3339(*text);
    if (!time) {
      fprintf(stderr, "bulwarkctl: \"%s\" is not a time such as 2026-01-02T03:04:05Z\n", text->c_str());
      return kExitUsage;
    }
    if (is_since) {
      arguments.request.set_since_wall_ns(*time);
    } else {
      arguments.request.set_until_wall_ns(*time);
    }
  }
  return Read(context, arguments.request);
}

// Where the running daemon keeps its log; the default place if none runs.
std::string LogDirectory(const Context& context) {
  grpc::ClientContext call;
  SetDeadline(call);
  v1::StatusResponse status;
  const bool answered = v1::Node::NewStub(Connect(context))->Status(&call, {}, &status).ok();
  return answered ? status.audit_directory() : "/var/lib/bulwark/audit";
}

int Verify(const Context& context, const std::string& named) {
  const std::string directory = named.empty() ? LogDirectory(context) : named;
  const auto result = audit::Verify(directory, std::nullopt);
  if (!result) {
    fprintf(stderr, "bulwarkctl: verify %s: %s\n", directory.c_str(), result.error().message().c_str());
    return kExitRefused;
  }
  if (context.is_json()) {
    printf("{\"version\":1,\"code\":%d,\"records\":%llu,\"last_sequence\":%llu,\"chain_hash\":\"%s\",\"segment\":\"%s\","
           "\"offset\":%llu,\"sequence\":%llu,\"reason\":\"%s\"}\n",
           static_cast<int>(result->code), static_cast<unsigned long long>(result->records),
           static_cast<unsigned long long>(result->last_sequence), audit::HexEncode(result->chain_hash).c_str(),
           result->segment.c_str(), static_cast<unsigned long long>(result->offset),
           static_cast<unsigned long long>(result->sequence), result->reason.c_str());
  } else {
    printf("%s: %s\n", directory.c_str(), audit::DescribeVerifyResult(*result).c_str());
  }
  return static_cast<int>(result->code);
}

void AddTail(CLI::App& audit, Context& context) {
  CLI::App* tail = audit.add_subcommand("tail", "The newest records, and with -f those that come");
  auto last = std::make_shared<uint64_t>(20);
  auto follow = std::make_shared<bool>(false);
  tail->add_option("--last,-n", *last, "How many")->capture_default_str();
  tail->add_flag("-f,--follow", *follow, "Go on as records become durable");
  tail->callback([&context, last, follow] {
    v1::ReadRecordsRequest request;
    request.set_last(*last);
    request.set_follow(*follow);
    context.exit_status = Read(context, request);
  });
}

void AddQuery(CLI::App& audit, Context& context) {
  CLI::App* query = audit.add_subcommand("query", "Records that match every filter given");
  auto arguments = std::make_shared<QueryArguments>();
  const auto filter = [&](const char* name, const char* help, void (v1::ReadRecordsRequest::*set)(const std::string&)) {
    query->add_option_function<std::string>(name, [arguments, set](const std::string& value) {
      (arguments->request.*set)(value);
    }, help);
  };
  filter("--container", "Container id", &v1::ReadRecordsRequest::set_container_id<const std::string&>);
  filter("--type", "Event type, e.g. CREATE_DECISION", &v1::ReadRecordsRequest::set_event_type<const std::string&>);
  filter("--outcome", "ALLOWED, DENIED, WOULD_DENY, OBSERVED or ERROR", &v1::ReadRecordsRequest::set_outcome<const std::string&>);
  filter("--image", "Part of the image's reference or digest", &v1::ReadRecordsRequest::set_image<const std::string&>);
  filter("--decision", "Decision id", &v1::ReadRecordsRequest::set_decision_id<const std::string&>);
  query->add_option("--since", arguments->since, "RFC 3339 time");
  query->add_option("--until", arguments->until, "RFC 3339 time");
  query->callback([&context, arguments] { context.exit_status = Query(context, *arguments); });
}

}  // namespace

void AddAuditCommands(CLI::App& app, Context& context) {
  CLI::App* audit = app.add_subcommand("audit", "The audit log")->require_subcommand(1);
  AddTail(*audit, context);
  AddQuery(*audit, context);
  CLI::App* verify = audit->add_subcommand(
      "verify", "Check every record and the chain. Exit status: 0 whole, 10 records missing, 11 changed, 13 torn end");
  auto directory = std::make_shared<std::string>();
  verify->add_option("--directory,DIRECTORY", *directory, "A log at rest; default: that of the running daemon");
  verify->callback([&context, directory] { context.exit_status = Verify(context, *directory); });
}

}  // namespace bulwark::cli
