// Where new segments come from. Keeps two prepared files in the log's directory: "spare", the next
// segment, made ahead of time by a thread of its own so that changing segments costs the writer no
// disk fill, and "reserve", which is only taken when the disk is full.
#pragma once

#include <stdint.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "lib/base/result.h"
#include "lib/base/unique_fd.h"
#include "plugin/audit/segment_format.h"
#include "plugin/audit/segment_storage.h"

namespace bulwark::audit {

// A segment file, open, empty but for its header.
struct NewSegment {
  base::UniqueFd fd;
  uint64_t bytes = 0;
};

class SegmentPool {
 public:
  SegmentPool(std::string directory, uint64_t segment_bytes, uint64_t reserve_bytes,
              SegmentStorage* storage);
  ~SegmentPool();
  SegmentPool(const SegmentPool&) = delete;
  SegmentPool& operator=(const SegmentPool&) = delete;

  // Takes over what an earlier run prepared, makes the reserve if it is missing, starts the thread.
  // A disk too full for the reserve is not an error. Blocks. Once.
  base::Status Start();

  // The next segment, with `header` durable in it, under its final name. kResourceExhausted (see
  // IsDiskFull) when there is neither a spare nor room. Blocks, seldom for long.
  base::Result<NewSegment> TakeSegment(SegmentHeader header);
  // The reserve, likewise. kNotFound when there is none.
  base::Result<NewSegment> TakeReserve(SegmentHeader header);

  // Asks the thread to make again what is missing.
  void Replenish();

  uint64_t reserve_bytes_free() const;

 private:
  void Run();
  base::Status Prepare(const char* name, uint64_t bytes);
  base::Result<NewSegment> Adopt(const char* name, const SegmentHeader& header);

  const std::string directory_;
  const uint64_t segment_bytes_;
  const uint64_t reserve_bytes_;
  SegmentStorage* const storage_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool wanted_ = false;       // guarded by mutex_
  bool stopping_ = false;     // guarded by mutex_
  bool has_spare_ = false;    // guarded by mutex_
  bool has_reserve_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace bulwark::audit
