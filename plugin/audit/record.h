// Plain data around the audit record: what other areas need to write records without knowing how
// the log stores them. The record itself is bulwark.v1.AuditRecord; docs/formats/audit-record.md
// describes its bytes on disk.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <array>
#include <functional>

#include "bulwark/v1/audit_record.pb.h"
#include "lib/base/result.h"

namespace bulwark::audit {

inline constexpr uint32_t kRecordSchemaVersion = 1;
// A stored record never exceeds this; BoundRecord() sheds detail until it fits.
inline constexpr size_t kRecordBytesMax = 32 * 1024;

// What segment and reserve sizes the log takes (a reserve of 0 means none). Here, and not with the
// log's options, because the configuration refuses what the log would.
inline constexpr uint64_t kLogSegmentBytesMin = uint64_t{64} << 10;
inline constexpr uint64_t kLogSegmentBytesMax = uint64_t{512} << 20;
inline constexpr uint64_t kLogSegmentBytesUnit = 4096;
constexpr bool IsLogSegmentSize(uint64_t bytes) {
  return bytes >= kLogSegmentBytesMin && bytes <= kLogSegmentBytesMax &&
         bytes % kLogSegmentBytesUnit == 0;
}

using ChainHash = std::array<uint8_t, 32>;  // SHA-256

// What a record is for decides what happens when the disk is full.
enum class Lane {
  kGate,     // blocks a request that can still be refused: create and exec decisions, policy and
             // config changes
  kWayDown,  // reports what has happened already (start, exit, delete, OOM …): may use the
             // preallocated reserve
};

// Where a durable record lies in the log.
struct Receipt {
  uint64_t sequence = 0;
  ChainHash chain_hash = {};
};

// Something that makes records durable. AuditLog is the real one; tests of other areas put their
// own here.
class Recorder {
 public:
  using Callback = std::function<void(const base::Result<Receipt>&)>;

  virtual ~Recorder() = default;

  // Queues the record and returns at once. `done` runs exactly once, on the log's own thread (or on
  // the caller's, when the record is refused at once): with a receipt when the record is durable,
  // or with an error when it is not. It must not block and must not call back into AppendDurable().
  // May be null. Thread-safe.
  virtual void Append(v1::AuditRecord record, Lane lane, Callback done) = 0;

  // Returns when the record is durable. An error means: the record does not count as written,
  // refuse what it was for.
  //   kResourceExhausted  the disk is full (or, for the way-down lane, the reserve too), or the
  //   queue is kDataLoss           writing failed and so did the attempt to go on in a new segment
  //   kUnavailable        the log is closed
  //   kInvalidArgument    the record cannot be stored at all
  // Blocks for one group commit. Thread-safe.
  virtual base::Result<Receipt> AppendDurable(v1::AuditRecord record, Lane lane) = 0;
};

// Makes any record storable: replaces bytes that are not UTF-8 by U+FFFD (protobuf would refuse to
// read them back), keeps at most 32 attributes, and shortens strings and lists step by step until
// the record is at most kRecordBytesMax. When something was shortened, the attribute "truncated"
// says "true". Returns the encoded size.
size_t BoundRecord(v1::AuditRecord* record);

}  // namespace bulwark::audit
