#include "plugin/audit/segment_format.h"

#include <string.h>

#include <charconv>

#include "plugin/audit/crc32c.h"

namespace bulwark::audit {
namespace {

using base::Code;
using base::Error;
using base::Result;

constexpr char kSegmentMagic[8] = {'B', 'W', 'A', 'U', 'D', 'I', 'T', '1'};
constexpr uint32_t kFormatVersion = 1;
constexpr uint32_t kFrameMagic = 0x31465742;  // "BWF1"
constexpr size_t kAlignment = 8;
constexpr uint8_t kSequenceTag = 0x20;  // field 4, varint

template <typename T>
void Put(std::string* out, size_t offset, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) {
    (*out)[offset + i] = static_cast<char>(static_cast<uint64_t>(value) >> (8 * i));
  }
}

template <typename T>
T Get(std::string_view bytes, size_t offset) {
  uint64_t value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    value |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[offset + i])) << (8 * i);
  }
  return static_cast<T>(value);
}

template <size_t N>
void PutBytes(std::string* out, size_t offset, const std::array<uint8_t, N>& value) {
  memcpy(out->data() + offset, value.data(), N);
}

template <size_t N>
std::array<uint8_t, N> GetBytes(std::string_view bytes, size_t offset) {
  std::array<uint8_t, N> value;
  memcpy(value.data(), bytes.data() + offset, N);
  return value;
}

size_t EncodeSequenceField(uint64_t sequence, char* out) {
  size_t size = 0;
  out[size++] = static_cast<char>(kSequenceTag);
  for (; sequence >= 0x80; sequence >>= 7)
    out[size++] = static_cast<char>((sequence & 0x7f) | 0x80);
  out[size++] = static_cast<char>(sequence);
  return size;
}

}  // namespace

std::string EncodeSegmentHeader(const SegmentHeader& header) {
  std::string out(kSegmentHeaderBytes, '\0');
  memcpy(out.data(), kSegmentMagic, sizeof(kSegmentMagic));
  Put(&out, 8, kFormatVersion);
  Put(&out, 12, static_cast<uint32_t>(kSegmentHeaderBytes));
  PutBytes(&out, 16, header.node_id);
  PutBytes(&out, 32, header.log_epoch);
  Put(&out, 48, header.epoch_ordinal);
  Put(&out, 52, header.flags);
  Put(&out, 56, header.first_sequence);
  PutBytes(&out, 64, header.previous_chain);
  Put(&out, 96, header.created_wall_ns);
  Put(&out, 104, header.segment_bytes);
  Put(&out, 124, Crc32c(std::string_view(out).substr(0, 124)));
  return out;
}

Result<SegmentHeader> DecodeSegmentHeader(std::string_view bytes) {
  if (bytes.size() < kSegmentHeaderBytes) {
    return Error(Code::kDataLoss, "segment header is cut short");
  }
  if (memcmp(bytes.data(), kSegmentMagic, sizeof(kSegmentMagic)) != 0) {
    return Error(Code::kDataLoss, "segment header does not begin with BWAUDIT1");
  }
  if (Get<uint32_t>(bytes, 124) != Crc32c(bytes.substr(0, 124))) {
    return Error(Code::kDataLoss, "segment header does not match its checksum");
  }
  if (Get<uint32_t>(bytes, 8) != kFormatVersion ||
      Get<uint32_t>(bytes, 12) != kSegmentHeaderBytes) {
    return Error(Code::kDataLoss, "segment header has an unknown version");
  }
  SegmentHeader header;
  header.node_id = GetBytes<16>(bytes, 16);
  header.log_epoch = GetBytes<16>(bytes, 32);
  header.epoch_ordinal = Get<uint32_t>(bytes, 48);
  header.flags = Get<uint32_t>(bytes, 52);
  header.first_sequence = Get<uint64_t>(bytes, 56);
  header.previous_chain = GetBytes<32>(bytes, 64);
  header.created_wall_ns = Get<int64_t>(bytes, 96);
  header.segment_bytes = Get<uint64_t>(bytes, 104);
  if (header.epoch_ordinal == 0 || header.first_sequence == 0) {
    return Error(Code::kDataLoss, "segment header has a zero epoch or sequence");
  }
  return header;
}

std::string SegmentFileName(uint32_t epoch_ordinal, uint64_t first_sequence) {
  return fmt::format("segment-{:06}-{:020}.log", epoch_ordinal, first_sequence);
}

std::optional<SegmentName> ParseSegmentFileName(std::string_view name) {
  SegmentName parsed;
  const size_t dash = name.find('-', 8);
  if (dash == std::string_view::npos) return std::nullopt;
  const char* end = name.data() + name.size();
  std::from_chars(name.data() + 8, end, parsed.epoch_ordinal);
  std::from_chars(name.data() + dash + 1, end, parsed.first_sequence);
  // Only the one spelling that SegmentFileName() has is a segment.
  if (parsed.epoch_ordinal == 0 || parsed.first_sequence == 0 ||
      SegmentFileName(parsed.epoch_ordinal, parsed.first_sequence) != name) {
    return std::nullopt;
  }
  parsed.file_name = std::string(name);
  return parsed;
}

std::optional<size_t> PeekFrameBytes(std::string_view bytes) {
  if (bytes.size() < kFrameHeaderBytes || Get<uint32_t>(bytes, 0) != kFrameMagic)
    return std::nullopt;
  const size_t frame_bytes = Get<uint32_t>(bytes, 8);
  if (frame_bytes < kFrameHeaderBytes || frame_bytes > kFrameBytesMax ||
      frame_bytes % kAlignment != 0) {
    return std::nullopt;
  }
  return frame_bytes;
}

Result<FrameView> DecodeFrame(std::string_view bytes) {
  const auto frame_bytes = PeekFrameBytes(bytes);
  if (!frame_bytes) return Error(Code::kDataLoss, "no frame begins here");
  if (*frame_bytes > bytes.size()) return Error(Code::kDataLoss, "frame is cut short");
  bytes = bytes.substr(0, *frame_bytes);
  if (Get<uint32_t>(bytes, 4) != Crc32c(bytes.substr(8))) {
    return Error(Code::kDataLoss, "frame does not match its checksum");
  }
  FrameView frame;
  frame.frame_bytes = *frame_bytes;
  frame.first_sequence = Get<uint64_t>(bytes, 16);
  frame.chain_hash = GetBytes<32>(bytes, 24);
  const uint32_t count = Get<uint32_t>(bytes, 12);
  size_t offset = kFrameHeaderBytes;
  for (uint32_t i = 0; i < count; ++i) {
    if (bytes.size() - offset < 4)
      return Error(Code::kDataLoss, "frame holds fewer records than it says");
    const size_t size = Get<uint32_t>(bytes, offset);
    offset += 4;
    if (size == 0 || size > bytes.size() - offset) {
      return Error(Code::kDataLoss, "record in frame has an impossible length");
    }
    frame.records.push_back(bytes.substr(offset, size));
    offset += size;
  }
  const std::string_view padding = bytes.substr(offset);
  if (count == 0 || padding.size() >= kAlignment ||
      padding.find_first_not_of('\0') != std::string_view::npos) {
    return Error(Code::kDataLoss, "frame holds more bytes than its records");
  }
  return frame;
}

bool RecordHasSequence(std::string_view record, uint64_t sequence) {
  char field[11];
  const size_t size = EncodeSequenceField(sequence, field);
  return record.size() >= size && memcmp(record.data() + record.size() - size, field, size) == 0;
}

void FrameBuilder::Begin(uint64_t first_sequence) {
  buffer_.assign(kFrameHeaderBytes, '\0');
  first_sequence_ = first_sequence;
  count_ = 0;
}

std::string_view FrameBuilder::Add(std::string_view encoded) {
  char field[11];
  const size_t field_size = EncodeSequenceField(next_sequence(), field);
  const size_t at = buffer_.size();
  buffer_.append(4, '\0');
  Put(&buffer_, at, static_cast<uint32_t>(encoded.size() + field_size));
  buffer_.append(encoded);
  buffer_.append(field, field_size);
  ++count_;
  return std::string_view(buffer_).substr(at + 4);
}

std::string_view FrameBuilder::Finish(const ChainHash& chain_hash) {
  buffer_.append((kAlignment - buffer_.size() % kAlignment) % kAlignment, '\0');
  Put(&buffer_, 0, kFrameMagic);
  Put(&buffer_, 8, static_cast<uint32_t>(buffer_.size()));
  Put(&buffer_, 12, count_);
  Put(&buffer_, 16, first_sequence_);
  PutBytes(&buffer_, 24, chain_hash);
  Put(&buffer_, 4, Crc32c(std::string_view(buffer_).substr(8)));
  return buffer_;
}

}  // namespace bulwark::audit
