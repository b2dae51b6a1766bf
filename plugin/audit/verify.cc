#include "plugin/audit/verify.h"

#include <utility>
#include <vector>

#include "plugin/audit/chain.h"
#include "plugin/audit/record_json.h"
#include "plugin/audit/segment_directory.h"
#include "plugin/audit/segment_scanner.h"

namespace bulwark::audit {
namespace {

using base::Code;
using base::Error;
using base::Result;

class Verifier {
 public:
  Verifier(const std::string& directory, const std::optional<ExpectedHead>& expected)
      : directory_(directory), expected_(expected) {}

  Result<VerifyResult> Run();

 private:
  // Each returns true to go on, false when result_ is final.
  Result<bool> CheckSegment(const SegmentName& name, const SegmentName* next);
  bool CheckHeader(const SegmentHeader& header, const SegmentName& name);
  Result<bool> CheckFrames(SegmentScanner* scanner, uint64_t end_sequence);
  bool CheckFrame(const FrameView& frame, uint64_t offset);
  Result<bool> CheckTail(SegmentScanner* scanner, const SegmentName* next, uint64_t end_sequence);
  // Whether the file that follows says that it was begun because of a torn or abandoned frame.
  Result<bool> NextDiscardsTail(const SegmentName& next) const;
  bool Break(VerifyCode code, uint64_t offset, uint64_t sequence, std::string reason);
  bool ReachedHead() const {
    return expected_ && is_last_epoch_ && result_.last_sequence >= expected_->sequence;
  }
  void CheckExpectedHead();

  const std::string& directory_;
  const std::optional<ExpectedHead>& expected_;
  VerifyResult result_;
  std::string segment_;         // being checked
  uint32_t epoch_ordinal_ = 0;  // being checked
  Id128 log_epoch_ = {};
  std::optional<Id128> node_id_;
  bool is_last_epoch_ = false;
  std::string last_record_;
  ChainHasher hasher_;
};

bool Verifier::Break(VerifyCode code, uint64_t offset, uint64_t sequence, std::string reason) {
  result_.code = code;
  result_.segment = segment_;
  result_.offset = offset;
  result_.sequence = sequence;
  result_.reason = std::move(reason);
  return false;
}

bool Verifier::CheckHeader(const SegmentHeader& header, const SegmentName& name) {
  const uint64_t due = result_.last_sequence + 1;
  if (header.epoch_ordinal != name.epoch_ordinal || header.first_sequence != name.first_sequence) {
    return Break(VerifyCode::kChainBreak, 0, due, "the header does not fit the file's name");
  }
  const bool new_epoch = header.epoch_ordinal != epoch_ordinal_;
  if (new_epoch) {
    if (header.epoch_ordinal != epoch_ordinal_ + 1 || header.first_sequence != 1) {
      return Break(VerifyCode::kGap, 0, epoch_ordinal_ == 0 ? 1 : due,
                   fmt::format("log epoch {} begins at sequence 1, the files before it are missing",
                               epoch_ordinal_ + 1));
    }
    ++result_.epochs;
    result_.last_sequence = 0;
    epoch_ordinal_ = header.epoch_ordinal;
    log_epoch_ = header.log_epoch;
  } else if (header.first_sequence != due) {
    return Break(VerifyCode::kGap, 0, due,
                 fmt::format("records {} to {} are missing", due, header.first_sequence - 1));
  }
  if (header.previous_chain != result_.chain_hash) {
    return Break(VerifyCode::kChainBreak, 0, result_.last_sequence + 1,
                 "the segment does not continue the chain of the records before it");
  }
  // A disk that moved to another node starts a new epoch under that node's id.
  if (!new_epoch && (header.log_epoch != log_epoch_ || header.node_id != *node_id_)) {
    return Break(VerifyCode::kChainBreak, 0, due, "the segment is from another log");
  }
  node_id_ = header.node_id;
  return true;
}

bool Verifier::CheckFrame(const FrameView& frame, uint64_t offset) {
  const uint64_t due = result_.last_sequence + 1;
  if (frame.first_sequence != due) {
    return Break(frame.first_sequence > due ? VerifyCode::kGap : VerifyCode::kChainBreak, offset,
                 due,
                 fmt::format("sequence {} is here where {} was due", frame.first_sequence, due));
  }
  ChainHash chain = result_.chain_hash;
  for (size_t i = 0; i < frame.records.size(); ++i) {
    const std::string_view record = frame.records[i];
    if (!RecordHasSequence(record, due + i)) {
      return Break(
          VerifyCode::kChainBreak,
          offset + static_cast<uint64_t>(record.data() - frame.records[0].data()), due + i,
          fmt::format("the record in place {} of its frame is not number {}", i + 1, due + i));
    }
    chain = hasher_.Extend(chain, record);
    if (expected_ && is_last_epoch_ && due + i == expected_->sequence &&
        chain != expected_->chain_hash) {
      return Break(VerifyCode::kChainBreak, offset, due + i,
                   "the chain hash is not the expected one: this is not the log that was recorded");
    }
  }
  if (chain != frame.chain_hash) {
    return Break(
        VerifyCode::kChainBreak, offset, due,
        fmt::format("records {} to {} do not give the chain hash that was recorded with them", due,
                    due + frame.records.size() - 1));
  }
  result_.records += frame.records.size();
  result_.last_sequence += frame.records.size();
  result_.chain_hash = chain;
  last_record_ = frame.records.back();
  return true;
}

Result<bool> Verifier::CheckFrames(SegmentScanner* scanner, uint64_t end_sequence) {
  while (result_.last_sequence + 1 < end_sequence && !ReachedHead()) {
    const uint64_t offset = scanner->offset();
    ASSIGN_OR_RETURN(const std::optional<FrameView> frame, scanner->Next());
    if (!frame) break;
    if (!CheckFrame(*frame, offset)) return false;
  }
  return true;
}

Result<bool> Verifier::NextDiscardsTail(const SegmentName& next) const {
  const auto scanner = SegmentScanner::Open(directory_, next.file_name);
  if (scanner) return (scanner->header().flags & kFlagPreviousTailDiscarded) != 0;
  // A damaged header is reported when its own turn comes.
  if (scanner.error().code() == Code::kDataLoss) return false;
  return scanner.error();
}

Result<bool> Verifier::CheckTail(SegmentScanner* scanner, const SegmentName* next,
                                 uint64_t end_sequence) {
  const uint64_t due = result_.last_sequence + 1;
  ASSIGN_OR_RETURN(const Tail tail, scanner->ClassifyTail());
  const bool same_epoch = next != nullptr && next->epoch_ordinal == epoch_ordinal_;
  if (tail.kind != Tail::Kind::kClean && same_epoch && due == end_sequence) {
    ASSIGN_OR_RETURN(const bool discarded, NextDiscardsTail(*next));
    if (discarded) {
      ++result_.discarded_tails;
      return true;
    }
  }
  if (tail.kind == Tail::Kind::kClean) return true;
  if (next == nullptr && tail.kind == Tail::Kind::kTorn) {
    return Break(VerifyCode::kTornTail, scanner->offset(), due, tail.reason);
  }
  return Break(VerifyCode::kChainBreak, scanner->offset(), due,
               tail.kind == Tail::Kind::kTorn ? "damaged, and later records follow" : tail.reason);
}

Result<bool> Verifier::CheckSegment(const SegmentName& name, const SegmentName* next) {
  segment_ = name.file_name;
  auto scanner = SegmentScanner::Open(directory_, name.file_name);
  if (!scanner) {
    if (scanner.error().code() != Code::kDataLoss) return std::move(scanner).error();
    return Break(VerifyCode::kChainBreak, 0, result_.last_sequence + 1, scanner.error().message());
  }
  if (!CheckHeader(scanner->header(), name)) return false;
  ++result_.segments;
  const uint64_t end_sequence = next != nullptr && next->epoch_ordinal == name.epoch_ordinal
                                    ? next->first_sequence
                                    : UINT64_MAX;
  ASSIGN_OR_RETURN(const bool frames_fit, CheckFrames(&*scanner, end_sequence));
  result_.bytes += scanner->offset();
  if (!frames_fit || ReachedHead()) return false;
  ASSIGN_OR_RETURN(const bool tail_fits, CheckTail(&*scanner, next, end_sequence));
  if (!tail_fits) return false;
  if (end_sequence != UINT64_MAX && result_.last_sequence + 1 < end_sequence) {
    return Break(VerifyCode::kGap, scanner->offset(), result_.last_sequence + 1,
                 fmt::format("records {} to {} are missing between this segment and {}",
                             result_.last_sequence + 1, end_sequence - 1, next->file_name));
  }
  return true;
}

void Verifier::CheckExpectedHead() {
  if (!expected_ || result_.code != VerifyCode::kOk || result_.last_sequence >= expected_->sequence)
    return;
  Break(VerifyCode::kGap, 0, result_.last_sequence + 1,
        fmt::format("the log ends at {}, but {} records were written", result_.last_sequence,
                    expected_->sequence));
}

Result<VerifyResult> Verifier::Run() {
  ASSIGN_OR_RETURN(const std::vector<SegmentName> segments, ListSegments(directory_));
  if (segments.empty())
    return Error::Make(Code::kNotFound, "verify audit log: none in {}", directory_);
  for (size_t i = 0; i < segments.size(); ++i) {
    is_last_epoch_ = segments[i].epoch_ordinal == segments.back().epoch_ordinal;
    const SegmentName* next = i + 1 < segments.size() ? &segments[i + 1] : nullptr;
    ASSIGN_OR_RETURN(const bool go_on, CheckSegment(segments[i], next));
    if (!go_on) break;
  }
  CheckExpectedHead();
  v1::AuditRecord last;
  result_.stopped_cleanly = result_.code == VerifyCode::kOk && last.ParseFromString(last_record_) &&
                            last.event_type() == v1::AUDIT_STOP;
  return std::move(result_);
}

}  // namespace

Result<VerifyResult> Verify(const std::string& directory,
                            const std::optional<ExpectedHead>& expected) {
  return Verifier(directory, expected).Run();
}

std::string DescribeVerifyResult(const VerifyResult& result) {
  if (result.code == VerifyCode::kOk) {
    return fmt::format("ok: {} records in {} segments, last sequence {}, chain hash {}, {}",
                       result.records, result.segments, result.last_sequence,
                       HexEncode(result.chain_hash),
                       result.stopped_cleanly ? "stopped cleanly" : "not stopped");
  }
  const char* kind = result.code == VerifyCode::kGap        ? "records are missing"
                     : result.code == VerifyCode::kTornTail ? "torn tail"
                                                            : "the chain is broken";
  return fmt::format("{}: {} at offset {}, sequence {}: {} ({} records before it are whole)", kind,
                     result.segment, result.offset, result.sequence, result.reason, result.records);
}

}  // namespace bulwark::audit
