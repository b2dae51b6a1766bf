// Reading the log in sequence order, from the same bytes that Verify() checks. Used by the API's
// Audit.Read, by bulwarkctl on a log at rest, and by the source index. It checks frame checksums,
// not the chain: that is Verify()'s.
//
// Memory: one frame (at most 1 MiB) and one record at a time. Not thread-safe; many readers may
// read one log.
#pragma once

#include <stdint.h>

#include <memory>
#include <optional>
#include <string>

#include "lib/base/result.h"
#include "plugin/audit/audit_log.h"
#include "plugin/audit/record.h"

namespace bulwark::audit {

struct StoredRecord {
  v1::AuditRecord record;
  ChainHash chain_hash = {};
};

// Empty members match everything.
struct RecordFilter {
  std::string container_id;
  std::string event_type;  // e.g. "CREATE_DECISION"
  std::string outcome;     // e.g. "DENIED"
  std::string image;       // substring of the image reference or of a digest
  std::string decision_id;
  int64_t since_wall_ns = 0;
  int64_t until_wall_ns = 0;

  bool Matches(const v1::AuditRecord& record) const;
};

struct ReadOptions {
  uint64_t from_sequence =
      0;  // 0: from the oldest record of the oldest log epoch; else in the newest log epoch
  uint64_t last = 0;  // only the last N records that match `filter`; 0: all. Excludes from_sequence
  RecordFilter filter;
};

class LogReader {
 public:
  // `live` is the log when this process writes it: nothing that is not durable is read then. Null:
  // a log at rest, or one that another process writes. Not owned. kNotFound if there is no log in
  // `directory`; kOutOfRange if `from_sequence` is older than the log.
  static base::Result<std::unique_ptr<LogReader>> Open(const std::string& directory,
                                                       ReadOptions options, const AuditLog* live);
  // A reader that begins with the oldest of the last segments that together hold at most
  // `bytes_max` (the newest one in any case). kNotFound as above.
  static base::Result<std::unique_ptr<LogReader>> OpenAtTail(const std::string& directory,
                                                             uint64_t bytes_max);
  ~LogReader();
  LogReader(const LogReader&) = delete;
  LogReader& operator=(const LogReader&) = delete;

  // The next matching record; nullopt at the present end. May be called again later. kDataLoss
  // where the log is broken (message: segment, offset), also where later segments exist but none
  // goes on with the sequence.
  base::Result<std::optional<StoredRecord>> Next();

  // Behind damage: leaves the current segment and goes on with the next one that can be opened,
  // whatever it begins with. False if there is none.
  base::Result<bool> SkipToNextSegment();

  // The same, but at the end waits up to `timeout_ms` for more: with a live log on its signal, else
  // by looking again every 100 ms. nullopt after the timeout.
  base::Result<std::optional<StoredRecord>> NextOrWait(int timeout_ms);

 private:
  struct Impl;
  explicit LogReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace bulwark::audit
