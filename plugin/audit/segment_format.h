// The bytes of a segment file: header, frames, records. Pure encoding and decoding;
// docs/formats/audit-record.md is the specification. All integers are little-endian.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "plugin/audit/audit_log.h"
#include "plugin/audit/record.h"

namespace bulwark::audit {

inline constexpr size_t kSegmentHeaderBytes = 128;
inline constexpr size_t kFrameHeaderBytes = 56;
inline constexpr size_t kFrameBytesMax = 1 << 20;
// A record's length field, and the sequence field that is appended to it: one tag byte and at most
// ten more.
inline constexpr size_t kRecordOverheadMax = 4 + 11;

// Header flags.
// The file before this one may hold bytes behind its last record that count: a torn or abandoned
// frame. They are not part of the log.
inline constexpr uint32_t kFlagPreviousTailDiscarded = 1;
// This file is the reserve: it was put into use because the disk was full.
inline constexpr uint32_t kFlagReserve = 2;

struct SegmentHeader {
  uint32_t epoch_ordinal = 1;  // 1, 2, … : log epochs of this directory
  uint32_t flags = 0;
  Id128 node_id = {};
  Id128 log_epoch = {};
  uint64_t first_sequence = 1;
  ChainHash previous_chain = {};
  int64_t created_wall_ns = 0;
  uint64_t segment_bytes = 0;
};

std::string EncodeSegmentHeader(const SegmentHeader& header);
// kDataLoss if it is not a header that this version wrote; `bytes` may be longer.
base::Result<SegmentHeader> DecodeSegmentHeader(std::string_view bytes);

// "segment-000001-00000000000000000001.log"
std::string SegmentFileName(uint32_t epoch_ordinal, uint64_t first_sequence);
struct SegmentName {
  std::string file_name;
  uint32_t epoch_ordinal = 0;
  uint64_t first_sequence = 0;
};
std::optional<SegmentName> ParseSegmentFileName(std::string_view name);

// A frame that was found whole. Views into the caller's buffer.
struct FrameView {
  uint64_t first_sequence = 0;
  ChainHash chain_hash = {};  // after the last record
  size_t frame_bytes = 0;     // padding included
  std::vector<std::string_view> records;
};

// How many bytes the frame at the start of `bytes` (at least kFrameHeaderBytes) claims to have;
// nullopt if no frame starts there.
std::optional<size_t> PeekFrameBytes(std::string_view bytes);
// Decodes the frame at the start of `bytes`. kDataLoss with what does not fit. Does not check the
// chain.
base::Result<FrameView> DecodeFrame(std::string_view bytes);

// Whether a stored record ends in the field that carries this sequence number.
bool RecordHasSequence(std::string_view record, uint64_t sequence);

// Builds one frame. Reused from batch to batch, so that its buffer stays.
class FrameBuilder {
 public:
  void Begin(uint64_t first_sequence);
  // Appends one record: `encoded` without field 4, which is added here. Returns the stored bytes
  // (valid until the next call).
  std::string_view Add(std::string_view encoded);
  // Completes the frame. The bytes stay valid until Begin().
  std::string_view Finish(const ChainHash& chain_hash);

  uint64_t next_sequence() const { return first_sequence_ + count_; }
  uint32_t count() const { return count_; }

 private:
  std::string buffer_;
  uint64_t first_sequence_ = 0;
  uint32_t count_ = 0;
};

}  // namespace bulwark::audit
