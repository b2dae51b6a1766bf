// The writer's half of the log: takes batches of encoded records, makes each durable as one frame,
// and decides what to do when the disk fails or is full. Belongs to one thread; AuditLog is the
// thread-safe half.
#pragma once

#include <stdint.h>

#include <string>
#include <vector>

#include "lib/base/result.h"
#include "lib/base/unique_fd.h"
#include "plugin/audit/audit_log.h"
#include "plugin/audit/chain.h"
#include "plugin/audit/envelope.h"
#include "plugin/audit/segment_format.h"
#include "plugin/audit/segment_pool.h"
#include "plugin/audit/segment_storage.h"

namespace bulwark::audit {

// Where the log goes on.
struct LogPosition {
  uint32_t epoch_ordinal = 1;
  uint64_t last_sequence = 0;  // durable
  ChainHash chain_hash = {};   // after it
  base::UniqueFd segment;      // open for writing; closed: a new one is needed
  uint64_t offset = 0;         // where the next frame goes
  uint64_t segment_bytes = 0;
  bool in_reserve = false;
  bool tail_discarded = false;  // the next segment must say kFlagPreviousTailDiscarded
};

struct BatchEntry {
  std::string encoded;  // without the sequence field
  Lane lane = Lane::kGate;
};

class LogWriter {
 public:
  // `pool`, `storage` and `envelope` are not owned and must outlive the writer.
  LogWriter(LogPosition position, const Envelope* envelope, SegmentPool* pool,
            SegmentStorage* storage);

  // Makes the entries durable, in order, and returns one result each. The entries must fit one
  // frame together with kNotesBytesMax. Notes of the log itself that are due go along.
  std::vector<base::Result<Receipt>> Commit(const std::vector<BatchEntry>& entries);

  // The log has something of its own to record (AUDIT_DEGRADED): Commit() should be called, with no
  // entries if need be. In the failed state they wait for the next attempt to recover.
  bool HasNotes() const { return !notes_.empty() && state_ != LogState::kFailed; }

  LogState state() const { return state_; }
  const std::string& last_error() const { return last_error_; }
  const LogPosition& position() const { return position_; }
  uint64_t sync_count() const { return sync_count_; }

  static constexpr size_t kNotesBytesMax = 4096;

 private:
  // Builds a frame of the entries that are accepted in the present state and puts it on disk.
  // False: the state went down one step, so that fewer entries are accepted; try again.
  bool CommitOnce(const std::vector<BatchEntry>& entries,
                  std::vector<base::Result<Receipt>>* results);
  bool WriteFrame(std::string_view frame);
  base::Status WriteAndSync(std::string_view frame);
  // Opens a segment without a change of state; false if that was not possible, and the state
  // changed.
  bool OpenNextSegment();
  SegmentHeader NextHeader() const;
  void Use(NewSegment segment);
  void Fail(const base::Error& error);
  void TryToRecover();
  void NoteDegraded(std::string_view state, std::string_view cause);
  base::Error RefusalError() const;

  LogPosition position_;
  const Envelope* envelope_;
  SegmentPool* pool_;
  SegmentStorage* storage_;
  LogState state_ = LogState::kNormal;
  std::string last_error_;
  bool disk_full_ = false;  // why the state is kFailed
  int64_t last_recovery_ns_ = 0;
  uint64_t sync_count_ = 0;
  std::vector<std::string> notes_;  // encoded
  FrameBuilder frame_;
  ChainHasher hasher_;
};

}  // namespace bulwark::audit
