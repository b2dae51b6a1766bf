// The three things the log does to a disk, behind an interface so that tests can make each of them
// fail.
#pragma once

#include <stdint.h>

#include <string>
#include <string_view>

#include "lib/base/result.h"
#include "lib/base/unique_fd.h"

namespace bulwark::audit {

class SegmentStorage {
 public:
  virtual ~SegmentStorage() = default;

  // Creates (or empties) `path`, writes `bytes` zero bytes into it and syncs it, so that later
  // writes need no new blocks: they cannot meet a full disk, and fdatasync has no metadata to write
  // (measured: 110 us against 157 us for a growing file). On failure the file is removed again.
  // Blocks.
  virtual base::Result<base::UniqueFd> Create(const std::string& path, uint64_t bytes) = 0;
  // Writes all of `bytes` at `offset`. Blocks.
  virtual base::Status WriteAt(int fd, std::string_view bytes, uint64_t offset) = 0;
  // fdatasync. After a failure the caller must not use `fd` again. Blocks.
  virtual base::Status Sync(int fd) = 0;
};

// The real one. Thread-safe, lives for ever.
SegmentStorage& FileSegmentStorage();

// The error says that space, quota or file size ran out, rather than that the device failed.
bool IsDiskFull(const base::Error& error);

}  // namespace bulwark::audit
