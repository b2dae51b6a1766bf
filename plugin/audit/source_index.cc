#include "plugin/audit/source_index.h"

#include <algorithm>

#include "plugin/audit/log_reader.h"
#include "plugin/audit/segment_directory.h"

namespace bulwark::audit {

using base::Code;
using base::Result;

SourceIndex::SourceIndex(size_t sources_max) : sources_max_(std::max<size_t>(sources_max, 1)) {}

uint64_t SourceIndex::HighestSeen(const std::string& source_id) {
  const std::lock_guard lock(mutex_);
  const auto found = by_id_.find(source_id);
  if (found == by_id_.end()) return 0;
  by_use_.splice(by_use_.begin(), by_use_, found->second);
  return found->second->highest;
}

void SourceIndex::Remember(const std::string& source_id, uint64_t source_seq) {
  const std::lock_guard lock(mutex_);
  const auto found = by_id_.find(source_id);
  if (found != by_id_.end()) {
    by_use_.splice(by_use_.begin(), by_use_, found->second);
    found->second->highest = std::max(found->second->highest, source_seq);
    return;
  }
  Entry entry;
  entry.source_id = source_id;
  entry.highest = source_seq;
  by_use_.push_front(std::move(entry));
  by_id_[source_id] = by_use_.begin();
  if (by_use_.size() > sources_max_) {
    by_id_.erase(by_use_.back().source_id);
    by_use_.pop_back();
  }
}

size_t SourceIndex::size() const {
  const std::lock_guard lock(mutex_);
  return by_use_.size();
}

Result<std::unique_ptr<SourceIndex>> SourceIndex::Rebuild(const std::string& directory,
                                                          uint64_t bytes_max) {
  auto index = std::make_unique<SourceIndex>();
  auto segments = ListSegments(directory);
  if (!segments) {
    if (segments.error().code() == Code::kNotFound) return index;
    return std::move(segments).error();
  }
  if (segments->empty()) return index;
  ASSIGN_OR_RETURN(const std::unique_ptr<LogReader> reader,
                   LogReader::OpenAtTail(directory, bytes_max));
  for (;;) {
    ASSIGN_OR_RETURN(const std::optional<StoredRecord> stored, reader->Next());
    if (!stored) return index;
    const v1::AuditRecord& record = stored->record;
    if (!record.source_id().empty()) index->Remember(record.source_id(), record.source_seq());
  }
}

}  // namespace bulwark::audit
