#include "lib/ttrpc/frame.h"

#include <string.h>

#include <algorithm>

namespace bulwark::ttrpc {
namespace {

void PutBigEndian(uint32_t value, char* out) {
  for (int i = 3; i >= 0; --i, value >>= 8) out[i] = static_cast<char>(value & 0xff);
}

uint32_t GetBigEndian(const char* in) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = (value << 8) | static_cast<unsigned char>(in[i]);
  return value;
}

}  // namespace

void EncodeFrameHeader(const FrameHeader& header, char* out) {
  PutBigEndian(header.length, out);
  PutBigEndian(header.stream_id, out + 4);
  out[8] = static_cast<char>(header.type);
  out[9] = static_cast<char>(header.flags);
}

bool FrameDecoder::TakeHeader(std::string_view& input) {
  if (header_used_ == kFrameHeaderBytes) return true;
  const size_t take = std::min(kFrameHeaderBytes - header_used_, input.size());
  memcpy(header_bytes_ + header_used_, input.data(), take);
  header_used_ += take;
  input.remove_prefix(take);
  if (header_used_ < kFrameHeaderBytes) return false;
  header_.length = GetBigEndian(header_bytes_);
  header_.stream_id = GetBigEndian(header_bytes_ + 4);
  header_.type = static_cast<uint8_t>(header_bytes_[8]);
  header_.flags = static_cast<uint8_t>(header_bytes_[9]);
  return true;
}

std::optional<Frame> FrameDecoder::Next(std::string_view& input) {
  // The frame returned last is done with.
  if (header_used_ == 0 && !payload_.empty()) std::string().swap(payload_);

  const size_t skipped = std::min(skip_, input.size());
  input.remove_prefix(skipped);
  skip_ -= skipped;
  if (input.empty() && header_used_ < kFrameHeaderBytes) return std::nullopt;
  if (!TakeHeader(input)) return std::nullopt;

  Frame frame;
  frame.header = header_;
  if (header_.length > kFramePayloadBytesMax) {
    frame.is_oversized = true;
    skip_ = header_.length;
  } else if (payload_.empty() && input.size() >= header_.length) {
    frame.payload = input.substr(0, header_.length);
    input.remove_prefix(header_.length);
  } else {
    const size_t take = std::min(header_.length - payload_.size(), input.size());
    payload_.append(input.substr(0, take));
    input.remove_prefix(take);
    if (payload_.size() < header_.length) return std::nullopt;
    frame.payload = payload_;
  }
  header_used_ = 0;
  return frame;
}

}  // namespace bulwark::ttrpc
