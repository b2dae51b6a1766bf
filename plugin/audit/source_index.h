// Remembers, per shim process (source_id), which event numbers are durable, so that an event which
// a shim sends again is recorded once, and one that was refused while a later one was stored is
// still recorded. Kept as ranges: normally one per source. Bounded: the least recently used sources,
// and the lowest ranges of a source, are forgotten first, at the price of a record written twice;
// never is something taken as durable that is not. Thread-safe; nothing blocks except Rebuild().
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/base/result.h"

namespace bulwark::audit {

class SourceIndex {
 public:
  static constexpr size_t kSourcesMax = 16384;
  static constexpr size_t kRangesMax = 64;  // per source
  // How much of the log's end Rebuild() reads. Shims resend what was not acknowledged, which is
  // recent.
  static constexpr uint64_t kRebuildBytesMax = uint64_t{64} << 20;

  explicit SourceIndex(size_t sources_max = kSourcesMax);

  // An index of the log's last segments, up to `bytes_max` (at least one segment). An absent log
  // gives an empty index. A segment that is damaged is logged and left at the damage, and reading
  // goes on with the next: an old damage must not keep the daemon from starting.
  static base::Result<std::unique_ptr<SourceIndex>> Rebuild(const std::string& directory,
                                                            uint64_t bytes_max = kRebuildBytesMax);

  bool IsDurable(const std::string& source_id, uint64_t source_seq);
  // Call when the record with this source_id and source_seq is durable, in any order.
  void Remember(const std::string& source_id, uint64_t source_seq);
  size_t size() const;

 private:
  struct Range {
    uint64_t first = 0;
    uint64_t last = 0;
  };
  struct Entry {
    std::string source_id;
    std::vector<Range> ranges;  // ascending, neither overlapping nor adjacent
  };
  static void Insert(std::vector<Range>* ranges, uint64_t number);

  const size_t sources_max_;
  mutable std::mutex mutex_;
  std::list<Entry> by_use_;  // guarded by mutex_; front: most recently used
  std::unordered_map<std::string, std::list<Entry>::iterator> by_id_;  // guarded by mutex_
};

}  // namespace bulwark::audit
