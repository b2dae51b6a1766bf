#include "plugin/audit/recovery.h"

#include <fcntl.h>

#include <optional>

#include "plugin/audit/chain.h"
#include "plugin/audit/segment_directory.h"
#include "plugin/audit/segment_scanner.h"

namespace bulwark::audit {
namespace {

using base::Code;
using base::Error;
using base::Result;
using base::UniqueFd;

Recovery NewEpoch(uint32_t ordinal, const ChainHash& previous_chain) {
  Recovery recovery;
  recovery.log_epoch = RandomId();
  recovery.position.epoch_ordinal = ordinal;
  recovery.position.chain_hash = previous_chain;
  return recovery;
}

Recovery Corrupt(const SegmentName& name, uint64_t offset, const LogPosition& end,
                 std::string_view reason) {
  Recovery recovery = NewEpoch(name.epoch_ordinal + 1, end.chain_hash);
  recovery.previous = PreviousStop::kCorrupt;
  recovery.previous_tail_sequence = end.last_sequence;
  recovery.corruption = fmt::format("{} at offset {}: {}", name.file_name, offset, reason);
  return recovery;
}

bool IsStopRecord(std::string_view bytes) {
  v1::AuditRecord record;
  return record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) &&
         record.event_type() == v1::AUDIT_STOP;
}

struct WalkEnd {
  LogPosition position;  // after the last frame that fits
  bool stopped_cleanly = false;
  std::string misfit;  // why the next whole frame does not belong here; empty if there is none
};

// Walks the frames of a segment, following sequence numbers and the chain.
Result<WalkEnd> Walk(SegmentScanner* scanner) {
  WalkEnd end;
  LogPosition& at = end.position;
  at.epoch_ordinal = scanner->header().epoch_ordinal;
  at.last_sequence = scanner->header().first_sequence - 1;
  at.chain_hash = scanner->header().previous_chain;
  at.offset = scanner->offset();
  ChainHasher hasher;
  for (;;) {
    ASSIGN_OR_RETURN(const std::optional<FrameView> frame, scanner->Next());
    if (!frame) return end;
    ChainHash chain = at.chain_hash;
    for (const std::string_view record : frame->records) chain = hasher.Extend(chain, record);
    if (frame->first_sequence != at.last_sequence + 1 || chain != frame->chain_hash) {
      end.misfit = "frame does not continue the chain";
      return end;
    }
    at.last_sequence += frame->records.size();
    at.chain_hash = chain;
    at.offset = scanner->offset();
    end.stopped_cleanly = IsStopRecord(frame->records.back());
  }
}

}  // namespace

Result<Recovery> Recover(const std::string& directory, const Id128& node_id) {
  ASSIGN_OR_RETURN(const std::vector<SegmentName> segments, ListSegments(directory));
  if (segments.empty()) return NewEpoch(1, {});
  const SegmentName& last = segments.back();
  auto scanner = SegmentScanner::Open(directory, last.file_name);
  if (!scanner && scanner.error().code() == Code::kDataLoss) {
    return Corrupt(last, 0, {}, scanner.error().message());
  }
  if (!scanner) return std::move(scanner).error();
  const SegmentHeader& header = scanner->header();
  ASSIGN_OR_RETURN(WalkEnd end, Walk(&*scanner));
  if (!end.misfit.empty()) return Corrupt(last, end.position.offset, end.position, end.misfit);
  if (header.node_id != node_id || header.epoch_ordinal != last.epoch_ordinal ||
      header.first_sequence != last.first_sequence) {
    return Corrupt(last, 0, end.position, "header does not fit the file's name or the node");
  }
  ASSIGN_OR_RETURN(const Tail tail, scanner->ClassifyTail());
  if (tail.kind == Tail::Kind::kBroken) {
    return Corrupt(last, end.position.offset, end.position, tail.reason);
  }
  Recovery recovery;
  recovery.log_epoch = header.log_epoch;
  recovery.previous =
      end.stopped_cleanly && tail.bytes == 0 ? PreviousStop::kClean : PreviousStop::kUnclean;
  recovery.previous_tail_sequence = end.position.last_sequence;
  recovery.discarded_torn_bytes = tail.bytes;
  recovery.position = std::move(end.position);
  LogPosition& position = recovery.position;
  position.segment_bytes = header.segment_bytes;
  position.in_reserve = (header.flags & kFlagReserve) != 0;
  const bool has_no_frame = position.last_sequence + 1 == header.first_sequence;
  position.tail_discarded =
      tail.bytes > 0 || (has_no_frame && (header.flags & kFlagPreviousTailDiscarded) != 0);
  if (tail.bytes > 0) return recovery;
  const std::string path = directory + "/" + last.file_name;
  position.segment = UniqueFd(open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!position.segment.is_open()) return Error::FromErrno("open {}", path);
  return recovery;
}

}  // namespace bulwark::audit
