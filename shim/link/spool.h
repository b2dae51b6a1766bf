// Where undelivered lifecycle events go when their shim ends: files "<source_id>.journal" in the
// spool directory, in the format of lib/journal/journal_format.h, which bulwarkd reads, records and
// removes. Blocks; made durable with fsync.
#pragma once

#include <string>
#include <vector>

#include "bulwark/v1/gate.pb.h"
#include "lib/base/result.h"

namespace bulwark::shim {

// BULWARK_SPOOL_DIR, or /var/lib/bulwark/spool.
std::string SpoolDirectoryFromEnvironment();

// Writes one file per source_id that occurs in `events`, atomically and durably (temporary file,
// fsync, rename, fsync of the directory), readable by the owner only; makes the directory (0700) if
// it is missing. A file of that source which is there already is extended by the events that it
// lacks; if it cannot be read whole, it is set aside as "*.bad" first. kInvalidArgument if a
// source_id is not 1 to 64 characters of [0-9a-zA-Z-]; otherwise the errors of the file operations.
base::Status SpoolEvents(const std::vector<v1::LifecycleEvent>& events,
                         const std::string& directory);

// Spools what the journal file at `journal_path` holds, then removes that file. One that is damaged
// before its end is also copied to "<source_id>.bundle.bad" in the spool directory. A missing file
// is no error.
base::Status SpoolJournal(const std::string& journal_path, const std::string& directory);

}  // namespace bulwark::shim
