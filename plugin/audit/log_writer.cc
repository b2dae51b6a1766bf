#include "plugin/audit/log_writer.h"

#include <utility>

namespace bulwark::audit {
namespace {

using base::Code;
using base::Error;
using base::Result;
using base::Status;
using base::UniqueFd;

constexpr int64_t kRecoveryIntervalNs = 1'000'000'000;
constexpr size_t kNotesMax = 4;

}  // namespace

LogWriter::LogWriter(LogPosition position, const Envelope* envelope, SegmentPool* pool,
                     SegmentStorage* storage)
    : position_(std::move(position)),
      envelope_(envelope),
      pool_(pool),
      storage_(storage),
      state_(position_.in_reserve ? LogState::kReserve : LogState::kNormal) {}

std::vector<Result<Receipt>> LogWriter::Commit(const std::vector<BatchEntry>& entries) {
  if (state_ != LogState::kNormal) TryToRecover();
  std::vector<Result<Receipt>> results;
  results.reserve(entries.size());
  // Each retry follows a step down (normal, reserve, failed), so there are at most two.
  while (!CommitOnce(entries, &results)) {
  }
  return results;
}

bool LogWriter::CommitOnce(const std::vector<BatchEntry>& entries,
                           std::vector<Result<Receipt>>* results) {
  results->clear();
  const auto is_accepted = [this](Lane lane) {
    return state_ == LogState::kNormal || (state_ == LogState::kReserve && lane == Lane::kWayDown);
  };
  frame_.Begin(position_.last_sequence + 1);
  ChainHash chain = position_.chain_hash;
  for (const BatchEntry& entry : entries) {
    if (!is_accepted(entry.lane)) {
      results->push_back(RefusalError());
      continue;
    }
    Receipt receipt;
    receipt.sequence = frame_.next_sequence();
    chain = hasher_.Extend(chain, frame_.Add(entry.encoded));
    receipt.chain_hash = chain;
    results->push_back(receipt);
  }
  if (is_accepted(Lane::kWayDown)) {
    for (const std::string& note : notes_) chain = hasher_.Extend(chain, frame_.Add(note));
  }
  if (frame_.count() == 0) return true;
  const uint64_t last_sequence = frame_.next_sequence() - 1;
  const size_t notes_taken = notes_.size();
  if (!WriteFrame(frame_.Finish(chain))) return false;
  position_.last_sequence = last_sequence;
  position_.chain_hash = chain;
  position_.tail_discarded = false;
  // More may have been added while writing; they go into the next frame.
  notes_.erase(notes_.begin(), notes_.begin() + static_cast<ptrdiff_t>(notes_taken));
  return true;
}

bool LogWriter::WriteFrame(std::string_view frame) {
  const bool has_room =
      position_.segment.is_open() && position_.offset + frame.size() <= position_.segment_bytes;
  if (!has_room && !OpenNextSegment()) return false;
  const Status written = WriteAndSync(frame);
  if (written) return true;
  // The descriptor is done with: a second fdatasync could report success for pages that were
  // dropped after the first.
  position_.segment.Reset();
  position_.tail_discarded = true;
  NoteDegraded("write-failed", written.error().message());
  if (!OpenNextSegment()) return false;
  const Status again = WriteAndSync(frame);
  if (again) return true;
  Fail(again.error());
  return false;
}

Status LogWriter::WriteAndSync(std::string_view frame) {
  RETURN_IF_ERROR(storage_->WriteAt(position_.segment.get(), frame, position_.offset));
  ++sync_count_;
  RETURN_IF_ERROR(storage_->Sync(position_.segment.get()));
  position_.offset += frame.size();
  return base::OkStatus();
}

SegmentHeader LogWriter::NextHeader() const {
  SegmentHeader header;
  header.epoch_ordinal = position_.epoch_ordinal;
  header.flags = position_.tail_discarded ? kFlagPreviousTailDiscarded : 0;
  header.node_id = envelope_->node_id;
  header.log_epoch = envelope_->log_epoch;
  header.first_sequence = position_.last_sequence + 1;
  header.previous_chain = position_.chain_hash;
  header.created_wall_ns = envelope_->clock->WallNanos();
  return header;
}

bool LogWriter::OpenNextSegment() {
  auto segment = pool_->TakeSegment(NextHeader());
  if (segment) {
    Use(*std::move(segment));
    return true;
  }
  auto reserve = pool_->TakeReserve(NextHeader());
  if (!reserve) {
    Fail(segment.error());
    return false;
  }
  Use(*std::move(reserve));
  last_recovery_ns_ = envelope_->clock->BootNanos();
  if (state_ == LogState::kReserve) return true;
  state_ = LogState::kReserve;
  last_error_ = segment.error().message();
  NoteDegraded("reserve", last_error_);
  return false;
}

void LogWriter::Use(NewSegment segment) {
  position_.segment = std::move(segment.fd);
  position_.offset = kSegmentHeaderBytes;
  position_.segment_bytes = segment.bytes;
}

void LogWriter::Fail(const Error& error) {
  position_.segment.Reset();
  state_ = LogState::kFailed;
  disk_full_ = IsDiskFull(error);
  last_error_ = error.message();
  last_recovery_ns_ = envelope_->clock->BootNanos();
}

void LogWriter::TryToRecover() {
  const int64_t now = envelope_->clock->BootNanos();
  if (now - last_recovery_ns_ < kRecoveryIntervalNs) return;
  last_recovery_ns_ = now;
  auto segment = pool_->TakeSegment(NextHeader());
  if (!segment) return;
  NoteDegraded("recovered", last_error_);
  Use(*std::move(segment));
  state_ = LogState::kNormal;
  last_error_.clear();
}

Error LogWriter::RefusalError() const {
  if (state_ == LogState::kReserve) {
    return Error::Make(Code::kResourceExhausted, "append audit record: the disk is full ({})",
                       last_error_);
  }
  return Error::Make(disk_full_ ? Code::kResourceExhausted : Code::kDataLoss,
                     "append audit record: the log cannot be written ({})", last_error_);
}

void LogWriter::NoteDegraded(std::string_view state, std::string_view cause) {
  if (notes_.size() >= kNotesMax) return;
  v1::AuditRecord record;
  record.set_event_type(v1::AUDIT_DEGRADED);
  record.set_outcome(v1::ERROR);
  record.set_message(std::string(cause.substr(0, 512)));
  (*record.mutable_attributes())["state"] = std::string(state);
  auto encoded = envelope_->Encode(std::move(record));
  if (encoded) notes_.push_back(*std::move(encoded));
}

}  // namespace bulwark::audit
