#include "plugin/audit/record_json.h"

#include <google/protobuf/util/json_util.h>
#include <time.h>

#include <algorithm>

#include "lib/base/hex.h"

namespace bulwark::audit {
namespace {

std::string UtcTime(int64_t wall_ns) {
  constexpr int64_t kSecond = 1'000'000'000;
  int64_t seconds = wall_ns / kSecond;
  int64_t rest = wall_ns % kSecond;
  if (rest < 0) {
    rest += kSecond;
    --seconds;
  }
  const time_t when = static_cast<time_t>(seconds);
  struct tm parts = {};
  gmtime_r(&when, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     rest / 1'000'000);
}

// Control characters, and the C1 controls that UTF-8 can carry (U+0080 to U+009F), become '?'.
std::string Printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const bool is_c1 =
        c == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    if (is_c1) ++i;
    out += is_c1 || c < 0x20 || c == 0x7f ? '?' : text[i];
  }
  return out;
}

std::string Subject(const v1::AuditRecord& record) {
  const v1::ContainerRef& container = record.container();
  if (container.id().empty()) return "-";
  return container.containerd_namespace() + "/" + container.id();
}

std::string WhatHappened(const v1::AuditRecord& record) {
  std::string text = record.reason_code();
  const auto add = [&text](std::string_view separator, std::string_view part) {
    if (part.empty()) return;
    if (!text.empty()) text += separator;
    text += part;
  };
  if (record.process().argv_size() > 0) {
    std::string command;
    for (const std::string& argument : record.process().argv()) {
      if (!command.empty()) command += ' ';
      command += argument;
    }
    add(" ", "[" + command + "]");
  }
  add(": ", record.message());
  switch (record.event_type()) {
    case v1::CONTAINER_EXIT:
    case v1::EXEC_EXIT:
      add(" ", fmt::format("exit status {}", record.exit_status()));
      break;
    case v1::CONTAINER_KILL:
      add(" ", fmt::format("signal {}", record.signal()));
      break;
    case v1::AUDIT_START: {
      const auto previous = record.attributes().find("previous");
      if (previous != record.attributes().end()) add(" ", "previous stop: " + previous->second);
      break;
    }
    default:
      break;
  }
  return text.empty() ? "-" : text;
}

constexpr char kLineFormat[] = "{:<24}  {:>8}  {:<23}  {:<10}  {:<28}  {:<32}  {}";

}  // namespace

std::string HexEncode(std::string_view bytes) { return base::HexEncode(bytes); }

std::string HexEncode(const ChainHash& hash) {
  return base::HexEncode(std::string_view(reinterpret_cast<const char*>(hash.data()), hash.size()));
}

std::string EventTypeName(v1::EventType type) {
  const std::string& name = v1::EventType_Name(type);
  return name.empty() ? std::to_string(static_cast<int>(type)) : name;
}

std::string OutcomeName(v1::Outcome outcome) {
  const std::string& name = v1::Outcome_Name(outcome);
  return name.empty() ? std::to_string(static_cast<int>(outcome)) : name;
}

std::string RecordToJson(const v1::AuditRecord& record, const ChainHash* chain_hash) {
  v1::AuditRecord rest = record;
  rest.clear_node_id();
  rest.clear_log_epoch();
  rest.clear_boot_id();
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string body;
  const auto printed = google::protobuf::util::MessageToJsonString(rest, &body, options);
  // Printing fails only for Any and for text that is not UTF-8; records hold neither (BoundRecord).
  if (!printed.ok() || body.size() < 2) body = "{}";
  std::string json = "{";
  const auto add = [&json](std::string_view name, std::string_view bytes) {
    if (!bytes.empty()) json += fmt::format("\"{}\":\"{}\",", name, base::HexEncode(bytes));
  };
  add("node_id", record.node_id());
  add("log_epoch", record.log_epoch());
  add("boot_id", record.boot_id());
  if (chain_hash != nullptr) json += fmt::format("\"chain_hash\":\"{}\",", HexEncode(*chain_hash));
  if (body == "{}" && json.back() == ',') json.pop_back();
  return json + body.substr(1);
}

std::string RecordLineHeading() {
  return fmt::format(kLineFormat, "TIME", "SEQUENCE", "EVENT", "OUTCOME", "CONTAINER", "IMAGE",
                     "REASON");
}

std::string RecordToLine(const v1::AuditRecord& record) {
  const std::string& image = record.container().image_reference();
  return Printable(fmt::format(kLineFormat, UtcTime(record.wall_ns()), record.sequence(),
                               EventTypeName(record.event_type()), OutcomeName(record.outcome()),
                               Subject(record), image.empty() ? "-" : image, WhatHappened(record)));
}

}  // namespace bulwark::audit
