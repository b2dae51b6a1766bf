// Finds where the log goes on after a stop of any kind. Changes no file.
#pragma once

#include <string>

#include "lib/base/result.h"
#include "plugin/audit/audit_log.h"
#include "plugin/audit/log_writer.h"

namespace bulwark::audit {

enum class PreviousStop {
  kFirst,    // there was no log
  kClean,    // its last record is AUDIT_STOP
  kUnclean,  // a crash: it ends behind the last whole frame
  kCorrupt,  // damage that no crash leaves: a new log epoch begins
};

struct Recovery {
  LogPosition position;
  Id128 log_epoch = {};
  PreviousStop previous = PreviousStop::kFirst;
  uint64_t previous_tail_sequence = 0;
  uint64_t discarded_torn_bytes = 0;
  std::string corruption;  // segment, offset and reason, for kCorrupt
};

// Reads the last segment of the log in `directory`. An error means that the directory or a file
// cannot be read, not that its content is bad. Blocks.
base::Result<Recovery> Recover(const std::string& directory, const Id128& node_id);

}  // namespace bulwark::audit
