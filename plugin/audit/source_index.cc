#include "plugin/audit/source_index.h"

#include <algorithm>
#include <utility>

#include "lib/base/logging.h"
#include "plugin/audit/log_reader.h"
#include "plugin/audit/segment_directory.h"

namespace bulwark::audit {

using base::Code;
using base::Result;

SourceIndex::SourceIndex(size_t sources_max) : sources_max_(std::max<size_t>(sources_max, 1)) {}

bool SourceIndex::IsDurable(const std::string& source_id, uint64_t source_seq) {
  const std::lock_guard lock(mutex_);
  const auto found = by_id_.find(source_id);
  if (found == by_id_.end()) return false;
  by_use_.splice(by_use_.begin(), by_use_, found->second);
  const std::vector<Range>& ranges = found->second->ranges;
  return std::any_of(ranges.rbegin(), ranges.rend(), [&](const Range& range) {
    return range.first <= source_seq && source_seq <= range.last;
  });
}

void SourceIndex::Insert(std::vector<Range>* ranges, uint64_t number) {
  // The first range that ends at or behind the number, or just before it.
  auto at = std::find_if(ranges->begin(), ranges->end(), [&](const Range& range) {
    return range.last >= number || range.last + 1 == number;
  });
  if (at == ranges->end() || number + 1 < at->first) {
    ranges->insert(at, {number, number});
    if (ranges->size() > kRangesMax) ranges->erase(ranges->begin());
    return;
  }
  at->first = std::min(at->first, number);
  at->last = std::max(at->last, number);
  const auto next = at + 1;
  if (next != ranges->end() && at->last + 1 == next->first) {
    at->last = next->last;
    ranges->erase(next);
  }
}

void SourceIndex::Remember(const std::string& source_id, uint64_t source_seq) {
  const std::lock_guard lock(mutex_);
  const auto found = by_id_.find(source_id);
  if (found != by_id_.end()) {
    by_use_.splice(by_use_.begin(), by_use_, found->second);
    Insert(&found->second->ranges, source_seq);
    return;
  }
  Entry entry;
  entry.source_id = source_id;
  entry.ranges = {{source_seq, source_seq}};
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
    auto stored = reader->Next();
    if (!stored) {
      base::LogError("the audit log is damaged: events recorded there may be recorded again",
                     {{"error", stored.error().message()}});
      ASSIGN_OR_RETURN(const bool moved, reader->SkipToNextSegment());
      if (!moved) return index;
      continue;
    }
    if (!*stored) return index;
    const v1::AuditRecord& record = (*stored)->record;
    if (!record.source_id().empty()) index->Remember(record.source_id(), record.source_seq());
  }
}

}  // namespace bulwark::audit
