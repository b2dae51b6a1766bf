// The ttrpc frame decoder must give the same frames however the bytes are cut into pieces, and use
// all of them.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "lib/ttrpc/frame.h"

namespace {

// All frames as one text, payloads included. `piece` 0: all bytes at once.
std::string Decode(std::string_view bytes, size_t piece) {
  bulwark::ttrpc::FrameDecoder decoder;
  std::string seen;
  while (!bytes.empty()) {
    const size_t take = piece == 0 ? bytes.size() : std::min(piece, bytes.size());
    std::string_view input = bytes.substr(0, take);
    bytes.remove_prefix(take);
    while (const auto frame = decoder.Next(input)) {
      if (!frame->is_oversized && frame->payload.size() != frame->header.length) abort();
      const bool is_over = frame->header.length > bulwark::ttrpc::kFramePayloadBytesMax;
      if (frame->is_oversized != is_over) abort();
      char header[bulwark::ttrpc::kFrameHeaderBytes];
      EncodeFrameHeader(frame->header, header);
      seen.append(header, sizeof header).append(frame->payload);
    }
    if (!input.empty()) abort();
  }
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string whole = Decode(bytes, 0);
  if (Decode(bytes, 1) != whole) abort();
  if (size > 0 && Decode(bytes, data[0]) != whole) abort();
  return 0;
}
