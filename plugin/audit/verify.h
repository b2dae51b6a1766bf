// Checks a whole log: every checksum, every link of the hash chain, every sequence number, every
// segment, and that nothing lies where nothing should. Needs the directory only; reads with bounded
// memory; changes nothing.
//
// What it cannot see by itself: records cut off the end, or a log rewritten from some point to its
// end with the chain computed anew. Both show when it is told the head it must find (from
// AuditLog::Status(), a sink or a note on paper).
#pragma once

#include <stdint.h>

#include <optional>
#include <string>

#include "lib/base/result.h"
#include "plugin/audit/record.h"

namespace bulwark::audit {

// Values are the exit codes of `bulwarkctl audit verify`. 12 is kept for signatures over the head.
enum class VerifyCode {
  kOk = 0,
  kGap = 10,         // records or segments are missing
  kChainBreak = 11,  // bytes are not what was written
  kTornTail = 13,  // the last write is incomplete: a crash, or damage to the last frame; all before
                   // it is whole
};

struct ExpectedHead {
  uint64_t sequence = 0;
  ChainHash chain_hash = {};
};

struct VerifyResult {
  VerifyCode code = VerifyCode::kOk;
  uint64_t records = 0;  // checked and whole
  uint64_t segments = 0;
  uint64_t bytes = 0;
  uint64_t epochs = 0;           // log epochs
  uint64_t discarded_tails = 0;  // torn tails that an earlier start declared and left behind
  uint64_t last_sequence = 0;    // last whole record
  ChainHash chain_hash = {};     // after it
  bool stopped_cleanly = false;  // the last record is AUDIT_STOP

  // Where and why, when code is not kOk.
  std::string segment;    // file name
  uint64_t offset = 0;    // byte in it: start of the frame or header that does not fit
  uint64_t sequence = 0;  // first record that is missing or cannot be trusted
  std::string reason;
};

// With `expected`, the log must contain exactly that head; records after it are not looked at, so
// that a running daemon's log can be checked against its own head. An error (not a result) means
// the directory could not be read.
base::Result<VerifyResult> Verify(const std::string& directory,
                                  const std::optional<ExpectedHead>& expected);

// "ok: 120 records in 1 segment, last sequence 120 …", or what is broken and where. One line.
std::string DescribeVerifyResult(const VerifyResult& result);

}  // namespace bulwark::audit
