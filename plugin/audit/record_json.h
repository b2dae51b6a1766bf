// Records as text: JSON for programs (proto3 JSON mapping; 64-bit integers are strings; ids and
// hashes are lower-case hex instead of base64), and one line for people. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "plugin/audit/record.h"

namespace bulwark::audit {

// One line of JSON, no newline. Members are named as in the .proto file (snake_case); "chain_hash"
// is added when given.
std::string RecordToJson(const v1::AuditRecord& record, const ChainHash* chain_hash = nullptr);

// "2026-01-02T03:04:05.123Z  17  CREATE_DECISION  DENIED  default/web  docker.io/library/x:1
// signature.missing: …". No newline; control characters are shown as '?', so that a record cannot
// forge lines or move the cursor.
std::string RecordToLine(const v1::AuditRecord& record);
// The heading for a table of such lines.
std::string RecordLineHeading();

// e.g. "CREATE_DECISION"; the number for a type this build does not know.
std::string EventTypeName(v1::EventType type);
std::string OutcomeName(v1::Outcome outcome);

std::string HexEncode(std::string_view bytes);
std::string HexEncode(const ChainHash& hash);

}  // namespace bulwark::audit
