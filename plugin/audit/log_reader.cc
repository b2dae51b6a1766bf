#include "plugin/audit/log_reader.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <tuple>
#include <vector>

#include "lib/base/file_io.h"
#include "plugin/audit/chain.h"
#include "plugin/audit/record_json.h"
#include "plugin/audit/segment_directory.h"
#include "plugin/audit/segment_scanner.h"

namespace bulwark::audit {
namespace {

using base::Code;
using base::Error;
using base::Result;
using base::Status;

constexpr int kPollMs = 100;

}  // namespace

bool RecordFilter::Matches(const v1::AuditRecord& record) const {
  const v1::ContainerRef& container = record.container();
  const auto contains = [](const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  };
  return (container_id.empty() || container.id() == container_id) &&
         (event_type.empty() || EventTypeName(record.event_type()) == event_type) &&
         (outcome.empty() || OutcomeName(record.outcome()) == outcome) &&
         (decision_id.empty() || record.decision_id() == decision_id) &&
         (since_wall_ns == 0 || record.wall_ns() >= since_wall_ns) &&
         (until_wall_ns == 0 || record.wall_ns() <= until_wall_ns) &&
         (image.empty() || contains(container.image_reference(), image) ||
          contains(container.image_digest(), image) || contains(container.index_digest(), image) ||
          contains(container.config_digest(), image));
}

struct LogReader::Impl {
  std::string directory;
  ReadOptions options;
  const AuditLog* live = nullptr;
  std::optional<SegmentScanner> scanner;
  std::string segment_name;
  // The frame being handed out: its records, copied out of the scanner's buffer, and the chain up
  // to the last of them.
  std::vector<std::string> frame_records;
  size_t next_in_frame = 0;
  uint64_t next_sequence = 1;
  ChainHash chain = {};
  uint64_t skip_below = 0;  // records before it are read for the chain, not delivered
  ChainHasher hasher;

  Status Enter(const SegmentName& name);
  Result<bool> EnterNextSegment();
  Result<std::optional<SegmentName>> SegmentBehind(const std::string& name) const;
  Result<bool> Advance();
  Status CheckEnd();
  Result<bool> LoadFrame();
  Result<std::optional<StoredRecord>> NextRecord();
  Result<std::optional<StoredRecord>> NextMatch();
  Status SeekToSequence(uint64_t sequence);
  Status SeekToLast(uint64_t count);
};

LogReader::LogReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LogReader::~LogReader() = default;

Result<std::unique_ptr<LogReader>> LogReader::Open(const std::string& directory,
                                                   ReadOptions options, const AuditLog* live) {
  if (options.from_sequence != 0 && options.last != 0) {
    return Error(Code::kInvalidArgument,
                 "read audit log: from_sequence and last exclude each other");
  }
  auto impl = std::make_unique<Impl>();
  impl->directory = directory;
  impl->options = std::move(options);
  impl->live = live;
  ASSIGN_OR_RETURN(const std::vector<SegmentName> segments, ListSegments(directory));
  if (segments.empty())
    return Error::Make(Code::kNotFound, "read audit log: none in {}", directory);
  if (impl->options.from_sequence != 0) {
    RETURN_IF_ERROR(impl->SeekToSequence(impl->options.from_sequence));
  } else if (impl->options.last != 0) {
    RETURN_IF_ERROR(impl->SeekToLast(impl->options.last));
  } else {
    RETURN_IF_ERROR(impl->Enter(segments.front()));
  }
  return std::unique_ptr<LogReader>(new LogReader(std::move(impl)));
}

Result<std::unique_ptr<LogReader>> LogReader::OpenAtTail(const std::string& directory,
                                                         uint64_t bytes_max) {
  auto impl = std::make_unique<Impl>();
  impl->directory = directory;
  ASSIGN_OR_RETURN(const std::vector<SegmentName> segments, ListSegments(directory));
  if (segments.empty())
    return Error::Make(Code::kNotFound, "read audit log: none in {}", directory);
  uint64_t bytes = 0;
  for (size_t i = segments.size(); i > 0; --i) {
    auto scanner = SegmentScanner::Open(directory, segments[i - 1].file_name);
    if (scanner) bytes += scanner->header().segment_bytes;
    if (impl->scanner && (!scanner || bytes > bytes_max)) break;
    RETURN_IF_ERROR(impl->Enter(segments[i - 1]));
  }
  return std::unique_ptr<LogReader>(new LogReader(std::move(impl)));
}

Status LogReader::Impl::Enter(const SegmentName& name) {
  ASSIGN_OR_RETURN(scanner, SegmentScanner::Open(directory, name.file_name));
  segment_name = name.file_name;
  next_sequence = scanner->header().first_sequence;
  chain = scanner->header().previous_chain;
  frame_records.clear();
  next_in_frame = 0;
  return base::OkStatus();
}

Status LogReader::Impl::SeekToSequence(uint64_t sequence) {
  ASSIGN_OR_RETURN(const std::vector<SegmentName> segments, ListSegments(directory));
  const uint32_t newest = segments.back().epoch_ordinal;
  const SegmentName* start = nullptr;
  for (const SegmentName& segment : segments) {
    if (segment.epoch_ordinal == newest && segment.first_sequence <= sequence) start = &segment;
  }
  if (start == nullptr) {
    return Error::Make(Code::kOutOfRange, "read audit log: no segment holds sequence {}", sequence);
  }
  skip_below = sequence;
  return Enter(*start);
}

// The matching records are counted from the newest segment backwards, until there are enough.
Status LogReader::Impl::SeekToLast(uint64_t count) {
  ASSIGN_OR_RETURN(const std::vector<SegmentName> segments, ListSegments(directory));
  uint64_t found = 0;
  for (size_t i = segments.size(); i > 0; --i) {
    const SegmentName& segment = segments[i - 1];
    RETURN_IF_ERROR(Enter(segment));
    const uint64_t end_sequence =
        i < segments.size() && segments[i].epoch_ordinal == segment.epoch_ordinal
            ? segments[i].first_sequence
            : UINT64_MAX;
    std::vector<uint64_t> matching;
    for (;;) {
      if (next_in_frame == frame_records.size()) {
        if (next_sequence >= end_sequence) break;
        ASSIGN_OR_RETURN(const bool loaded, LoadFrame());
        if (!loaded) break;
      }
      ASSIGN_OR_RETURN(const std::optional<StoredRecord> record, NextRecord());
      if (record && options.filter.Matches(record->record))
        matching.push_back(record->record.sequence());
    }
    found += matching.size();
    if (found >= count || i == 1) {
      if (found > count) skip_below = matching[static_cast<size_t>(found - count)];
      return Enter(segment);
    }
  }
  return base::OkStatus();
}

// Reads the next frame of this segment into frame_records; false if there is none (yet).
Result<bool> LogReader::Impl::LoadFrame() {
  if (live != nullptr && scanner->header().log_epoch == live->Status().log_epoch &&
      next_sequence > live->Status().durable_sequence) {
    return false;
  }
  // After a failed write the frame that was under way begins the next segment; what this one holds
  // of it is void.
  const std::string takeover = SegmentFileName(scanner->header().epoch_ordinal, next_sequence);
  if (takeover != segment_name && base::PathExists(directory + "/" + takeover)) return false;
  const uint64_t offset = scanner->offset();
  ASSIGN_OR_RETURN(const std::optional<FrameView> frame, scanner->Next());
  if (!frame) {
    ASSIGN_OR_RETURN(const bool at_zeros, scanner->AtZeros());
    if (at_zeros) return false;
    ASSIGN_OR_RETURN(const Tail tail, scanner->ClassifyTail());
    if (tail.kind != Tail::Kind::kBroken) return false;
    // A later start has seen the damage and said so in the first record of a new epoch: go on
    // there.
    const std::string new_epoch = SegmentFileName(scanner->header().epoch_ordinal + 1, 1);
    if (base::PathExists(directory + "/" + new_epoch)) return false;
    return Error::Make(Code::kDataLoss, "read audit log: {} at offset {}: {}", segment_name, offset,
                       tail.reason);
  }
  if (frame->first_sequence != next_sequence) {
    return Error::Make(Code::kDataLoss,
                       "read audit log: {} at offset {}: sequence {} where {} was due",
                       segment_name, offset, frame->first_sequence, next_sequence);
  }
  frame_records.assign(frame->records.begin(), frame->records.end());
  next_in_frame = 0;
  return true;
}

// At the end of a segment: goes to the one that continues it, if there is one.
Result<bool> LogReader::Impl::EnterNextSegment() {
  const uint32_t ordinal = scanner->header().epoch_ordinal;
  const std::optional<SegmentName> candidates[] = {
      ParseSegmentFileName(SegmentFileName(ordinal, next_sequence)),
      ParseSegmentFileName(SegmentFileName(ordinal + 1, 1))};
  for (const auto& candidate : candidates) {
    if (!candidate || candidate->file_name == segment_name) continue;
    const Status entered = Enter(*candidate);
    if (entered) return true;
    if (entered.error().code() != Code::kNotFound) return entered.error();
  }
  return false;
}

// The segment that follows the one called `name` in the directory, if any.
Result<std::optional<SegmentName>> LogReader::Impl::SegmentBehind(const std::string& name) const {
  ASSIGN_OR_RETURN(const std::vector<SegmentName> segments, ListSegments(directory));
  const auto current = ParseSegmentFileName(name);
  for (const SegmentName& segment : segments) {
    if (std::tie(segment.epoch_ordinal, segment.first_sequence) >
        std::tie(current->epoch_ordinal, current->first_sequence)) {
      return std::optional<SegmentName>(segment);
    }
  }
  return std::optional<SegmentName>();
}

// Goes to the next frame, here or in the segments that continue this one; false at the end.
Result<bool> LogReader::Impl::Advance() {
  for (;;) {
    ASSIGN_OR_RETURN(const bool loaded, LoadFrame());
    if (loaded) return true;
    ASSIGN_OR_RETURN(const bool moved, EnterNextSegment());
    if (!moved) return false;
  }
}

// No segment continues this one: then there must be none behind it either.
Status LogReader::Impl::CheckEnd() {
  if (live != nullptr && scanner->header().log_epoch == live->Status().log_epoch &&
      next_sequence > live->Status().durable_sequence) {
    return base::OkStatus();
  }
  ASSIGN_OR_RETURN(const std::optional<SegmentName> behind, SegmentBehind(segment_name));
  if (!behind) return base::OkStatus();
  // The writer may have finished this segment and begun that one since we looked; what it wrote
  // here was complete before that one came to be, so a second look is final.
  ASSIGN_OR_RETURN(const bool advanced, Advance());
  if (advanced) return base::OkStatus();
  ASSIGN_OR_RETURN(const std::optional<SegmentName> still_behind, SegmentBehind(segment_name));
  if (!still_behind) return base::OkStatus();
  return Error::Make(Code::kDataLoss,
                     "read audit log: {} ends at offset {} before sequence {}, and {} does not go "
                     "on from there",
                     segment_name, scanner->offset(), next_sequence, still_behind->file_name);
}

Result<std::optional<StoredRecord>> LogReader::Impl::NextRecord() {
  if (next_in_frame == frame_records.size()) {
    ASSIGN_OR_RETURN(const bool advanced, Advance());
    if (!advanced) RETURN_IF_ERROR(CheckEnd());
    if (next_in_frame == frame_records.size()) return std::optional<StoredRecord>();
  }
  const std::string& bytes = frame_records[next_in_frame++];
  StoredRecord stored;
  chain = hasher.Extend(chain, bytes);
  stored.chain_hash = chain;
  if (!stored.record.ParseFromString(bytes) || stored.record.sequence() != next_sequence) {
    return Error::Make(Code::kDataLoss, "read audit log: {}: record {} is not readable",
                       segment_name, next_sequence);
  }
  ++next_sequence;
  return std::optional<StoredRecord>(std::move(stored));
}

Result<std::optional<StoredRecord>> LogReader::Impl::NextMatch() {
  for (;;) {
    ASSIGN_OR_RETURN(std::optional<StoredRecord> stored, NextRecord());
    if (!stored) return stored;
    if (stored->record.sequence() < skip_below) continue;
    skip_below = 0;
    if (options.filter.Matches(stored->record)) return stored;
  }
}

Result<std::optional<StoredRecord>> LogReader::Next() { return impl_->NextMatch(); }

Result<bool> LogReader::SkipToNextSegment() {
  std::string name = impl_->segment_name;
  for (;;) {
    ASSIGN_OR_RETURN(const std::optional<SegmentName> behind, impl_->SegmentBehind(name));
    if (!behind) return false;
    if (impl_->Enter(*behind)) return true;
    name = behind->file_name;
  }
}

Result<std::optional<StoredRecord>> LogReader::NextOrWait(int timeout_ms) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  for (;;) {
    ASSIGN_OR_RETURN(std::optional<StoredRecord> stored, impl_->NextMatch());
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
                          deadline - std::chrono::steady_clock::now())
                          .count();
    if (stored || left <= 0) return stored;
    const uint64_t after = impl_->next_sequence - 1;
    if (impl_->live != nullptr && impl_->live->Status().state != LogState::kClosed &&
        impl_->live->Status().durable_sequence <= after) {
      impl_->live->WaitDurable(after, static_cast<int>(left));
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(std::min<int64_t>(left, kPollMs)));
    }
  }
}

}  // namespace bulwark::audit
