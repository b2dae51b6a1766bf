// The audit log: appends records to segment files, makes them durable in groups, and fails closed.
// One per daemon.
//
// Every record gets the next sequence number and is covered by a hash chain. One writer thread
// takes whatever has been queued, writes it as one frame, calls fdatasync once, and only then tells
// the callers. Format and recovery rules: docs/formats/audit-record.md.
//
// When a write or an fdatasync fails, the segment's descriptor is never synced again (the kernel
// may have marked the lost pages clean: Rebello et al., "Can Applications Recover from fsync
// Failures?", 2020). The frame is written again from memory into a new segment, followed by an
// AUDIT_DEGRADED record. If that fails too, the records are refused, and so is every later one
// until a new segment can be opened, which is attempted at most once a second.
//
// When the disk is full, kGate records are refused with kResourceExhausted and kWayDown records go
// to the reserve: a segment written beforehand, kept for this. When space returns, the log goes on
// in a normal segment by itself.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <array>
#include <memory>
#include <string>

#include "lib/base/clock.h"
#include "lib/base/result.h"
#include "plugin/audit/record.h"

namespace bulwark::audit {

class SegmentStorage;

using Id128 = std::array<uint8_t, 16>;

struct AuditLogOptions {
  std::string directory;     // created 0700 if absent; one AuditLog at a time (flock on "lock")
  std::string node_id_file;  // 32 hex digits; created if absent. Empty: "<directory>/node-id"
  uint64_t segment_bytes = 16 << 20;   // at least 64 KiB
  uint64_t reserve_bytes = 16 << 20;   // 0: no reserve
  size_t batch_records_max = 4096;     // one frame, one fdatasync
  size_t pending_records_max = 65536;  // queued and in flight; beyond it appends are refused
  size_t pending_bytes_max = size_t{64} << 20;
  const base::Clock* clock = nullptr;  // null: base::SystemClock()
  SegmentStorage* storage =
      nullptr;  // null: the real file system; tests inject faults here. Not owned
};

enum class LogState {
  kNormal,
  kReserve,  // disk full: only way-down records are taken
  kFailed,   // nothing is taken until a new segment can be opened
  kClosed,
};

struct AuditLogStatus {
  LogState state = LogState::kNormal;
  std::string directory;
  std::string last_error;  // of the last write that failed; empty when the log has recovered
  Id128 node_id = {};
  Id128 log_epoch = {};
  uint64_t durable_sequence = 0;  // last durable record
  ChainHash chain_hash =
      {};  // after it: with the sequence, the head that verify can be told to expect
  uint64_t records_appended = 0;    // since Open
  uint64_t records_refused = 0;     // since Open: callers were told
  uint64_t batches = 0;             // fdatasync calls
  uint64_t reserve_bytes_free = 0;  // 0 when there is no reserve at the moment
};

class AuditLog : public Recorder {
 public:
  // Opens or creates the log, repairs nothing in place: after an unclean stop the log goes on
  // behind the last whole frame, in a new segment if torn bytes follow it. The first record after
  // every open is AUDIT_START with attributes "previous" (first, clean, unclean, corrupt),
  // "previous_tail_sequence", "discarded_torn_bytes" and, when corrupt, "corruption". A log whose
  // last segment is corrupt (more than a torn tail) is left as it is, and a new log epoch is begun
  // behind it; only Verify() over the older epoch fails then, for ever.
  //   kFailedPrecondition  another process has the log open
  // Blocks: reads at most the last segment.
  static base::Result<std::unique_ptr<AuditLog>> Open(AuditLogOptions options);

  // Close(), errors ignored.
  ~AuditLog() override;
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;

  // schema_version, node_id, log_epoch, sequence, boot_id and both times are set by the log, and
  // the record is passed through BoundRecord().
  void Append(v1::AuditRecord record, Lane lane, Callback done) override;
  base::Result<Receipt> AppendDurable(v1::AuditRecord record, Lane lane) override;

  // Blocks until a record after `after_sequence` is durable, or `timeout_ms` have passed, or the
  // log is closed. Returns the last durable sequence. For readers that follow. Thread-safe.
  uint64_t WaitDurable(uint64_t after_sequence, int timeout_ms) const;

  AuditLogStatus Status() const;

  // Writes what is queued, then AUDIT_STOP, and ends the writer. Later appends get kUnavailable.
  // Idempotent. Blocks.
  base::Status Close();

 private:
  struct Impl;
  explicit AuditLog(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace bulwark::audit
