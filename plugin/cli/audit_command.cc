// bulwarkctl audit tail, query, verify.
#include <stdio.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "lib/base/clock.h"
#include "plugin/audit/record_json.h"
#include "plugin/audit/verify.h"
#include "plugin/cli/commands.h"
#include "plugin/cli/daemon_connection.h"
#include "plugin/cli/reasoning.h"
#include "plugin/cli/time_argument.h"

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
    const auto time = ParseTime(*text, base::SystemClock().WallNanos());
    if (!time) {
      fprintf(stderr, "bulwarkctl: %s\n", time.error().message().c_str());
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

struct Log {
  std::string directory;
  std::optional<audit::ExpectedHead> head;  // up to where the daemon vouches for it
};

// The running daemon's log and its newest durable record; the default place if none runs. A log that is being written
// ends in the middle of a frame at any moment, so it is checked up to that record.
Log FindLog(const Context& context) {
  Log log{"/var/lib/bulwark/audit", std::nullopt};
  const auto channel = Connect(context);
  grpc::ClientContext status_call;
  SetDeadline(status_call);
  v1::StatusResponse status;
  if (!v1::Node::NewStub(channel)->Status(&status_call, {}, &status).ok()) {
    fprintf(stderr, "bulwarkctl: no daemon answers on %s; checking %s as it lies there\n", context.socket.c_str(),
            log.directory.c_str());
    return log;
  }
  log.directory = status.audit_directory();
  grpc::ClientContext read_call;
  SetDeadline(read_call);
  v1::ReadRecordsRequest newest;
  newest.set_last(1);
  const auto reader = v1::Audit::NewStub(channel)->Read(&read_call, newest);
  for (v1::RecordEntry entry; reader->Read(&entry);) {
    audit::ExpectedHead head;
    if (entry.chain_hash().size() != head.chain_hash.size()) continue;
    head.sequence = entry.record().sequence();
    std::copy(entry.chain_hash().begin(), entry.chain_hash().end(), head.chain_hash.begin());
    log.head = head;
  }
  reader->Finish();
  return log;
}

void PrintVerifyJson(const Log& log, const audit::VerifyResult& result) {
  const nlohmann::ordered_json document = {{"schema_version", kJsonSchemaVersion},
                                           {"directory", log.directory},
                                           {"code", static_cast<int>(result.code)},
                                           {"records", result.records},
                                           {"last_sequence", result.last_sequence},
                                           {"chain_hash", audit::HexEncode(result.chain_hash)},
                                           {"stopped_cleanly", result.stopped_cleanly},
                                           {"segment", result.segment},
                                           {"offset", result.offset},
                                           {"sequence", result.sequence},
                                           {"reason", result.reason}};
  printf("%s\n", document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

int Verify(const Context& context, const std::string& named) {
  const Log log = named.empty() ? FindLog(context) : Log{named, std::nullopt};
  const auto result = audit::Verify(log.directory, log.head);
  if (!result) {
    fprintf(stderr, "bulwarkctl: verify %s: %s\n", log.directory.c_str(), result.error().message().c_str());
    return kExitRefused;
  }
  if (context.is_json()) {
    PrintVerifyJson(log, *result);
  } else {
    printf("%s: %s\n", log.directory.c_str(), Printable(audit::DescribeVerifyResult(*result)).c_str());
  }
  return static_cast<int>(result->code);
}

// A misspelt name would match nothing, which reads like "it never happened".
std::string CheckEventType(std::string& name) {
  v1::EventType type;
  return v1::EventType_Parse(name, &type) ? "" : name + " is no event type, such as CREATE_DECISION";
}

std::string CheckOutcome(std::string& name) {
  v1::Outcome outcome;
  return v1::Outcome_Parse(name, &outcome) ? "" : name + " is no outcome: ALLOWED, DENIED, WOULD_DENY, OBSERVED or ERROR";
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
    return query->add_option_function<std::string>(name, [arguments, set](const std::string& value) {
      (arguments->request.*set)(value);
    }, help);
  };
  filter("--container", "Container id", &v1::ReadRecordsRequest::set_container_id<const std::string&>);
  filter("--type", "Event type, e.g. CREATE_DECISION", &v1::ReadRecordsRequest::set_event_type<const std::string&>)
      ->check(CLI::Validator(CheckEventType, "TYPE"));
  filter("--outcome", "ALLOWED, DENIED, WOULD_DENY, OBSERVED or ERROR", &v1::ReadRecordsRequest::set_outcome<const std::string&>)
      ->check(CLI::Validator(CheckOutcome, "OUTCOME"));
  filter("--image", "Part of the image's reference or digest", &v1::ReadRecordsRequest::set_image<const std::string&>);
  filter("--decision", "Decision id", &v1::ReadRecordsRequest::set_decision_id<const std::string&>);
  query->add_option("--since", arguments->since, "24h or 7d ago, 2026-01-02, or 2026-01-02T03:04:05Z");
  query->add_option("--until", arguments->until, "The same forms");
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
