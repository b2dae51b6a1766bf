// Remembers, per shim process (source_id), the highest event number that is durable, so that an
// event which a shim sends again after a lost answer is recorded once. Bounded: the least recently
// used sources are forgotten first. Thread-safe; nothing blocks except Rebuild().
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "lib/base/result.h"

namespace bulwark::audit {

class SourceIndex {
 public:
  static constexpr size_t kSourcesMax = 16384;
  // How much of the log's end Rebuild() reads. Shims resend what was not acknowledged, which is
  // recent.
  static constexpr uint64_t kRebuildBytesMax = uint64_t{64} << 20;

  explicit SourceIndex(size_t sources_max = kSourcesMax);

  // An index of the log's last segments, up to `bytes_max` (at least one segment). An absent log
  // gives an empty index.
  static base::Result<std::unique_ptr<SourceIndex>> Rebuild(const std::string& directory,
                                                            uint64_t bytes_max = kRebuildBytesMax);

  // Highest number remembered for the source; 0 if none.
  uint64_t HighestSeen(const std::string& source_id);
  // Call when the record with this source_id and source_seq is durable. Lower numbers than the
  // highest are ignored.
  void Remember(const std::string& source_id, uint64_t source_seq);
  size_t size() const;

 private:
  struct Entry {
    std::string source_id;
    uint64_t highest = 0;
  };

  const size_t sources_max_;
  mutable std::mutex mutex_;
  std::list<Entry> by_use_;  // guarded by mutex_; front: most recently used
  std::unordered_map<std::string, std::list<Entry>::iterator> by_id_;  // guarded by mutex_
};

}  // namespace bulwark::audit
