// The files of a log's directory: which segments there are, and the node's identity.
#pragma once

#include <string>
#include <vector>

#include "lib/base/result.h"
#include "plugin/audit/segment_format.h"

namespace bulwark::audit {

// Segments in log order: by epoch, then by first sequence. kNotFound if the directory does not
// exist. Blocks.
base::Result<std::vector<SegmentName>> ListSegments(const std::string& directory);

// Reads 32 hex digits from `path`, or writes a new random id there (0600, durable). Blocks.
base::Result<Id128> LoadOrCreateNodeId(const std::string& path);

// From the kernel's random source.
Id128 RandomId();
// /proc/sys/kernel/random/boot_id.
base::Result<Id128> BootId();

}  // namespace bulwark::audit
