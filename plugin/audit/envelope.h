// What the log itself puts into every record: who wrote it, in which log, when.
#pragma once

#include <string>

#include "lib/base/clock.h"
#include "lib/base/result.h"
#include "plugin/audit/audit_log.h"
#include "plugin/audit/record.h"

namespace bulwark::audit {

struct Envelope {
  Id128 node_id = {};
  Id128 log_epoch = {};
  Id128 boot_id = {};
  const base::Clock* clock = nullptr;

  // Completes, bounds and encodes a record, all but its sequence number. kInvalidArgument if it
  // cannot be stored.
  base::Result<std::string> Encode(v1::AuditRecord record) const;
};

}  // namespace bulwark::audit
