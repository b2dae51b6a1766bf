// ttrpc frames (containerd/ttrpc PROTOCOL.md): a 10-byte header, then the payload.
//
//   u32 BE payload length | u32 BE stream id | u8 type | u8 flags
//
// Pure: bytes in, frames out. Knows nothing of sockets or of what a payload means.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <optional>
#include <string>
#include <string_view>

namespace bulwark::ttrpc {

inline constexpr size_t kFrameHeaderBytes = 10;
inline constexpr size_t kFramePayloadBytesMax = 4 << 20;

// On the wire any other value may appear; receivers ignore such frames.
inline constexpr uint8_t kFrameRequest = 1;
inline constexpr uint8_t kFrameResponse = 2;

struct FrameHeader {
  uint32_t length = 0;
  uint32_t stream_id = 0;
  uint8_t type = 0;
  uint8_t flags = 0;
};

struct Frame {
  FrameHeader header;
  std::string_view payload;   // valid until the decoder's next call, and as long as its input
  bool is_oversized = false;  // over kFramePayloadBytesMax: payload is empty, its bytes are skipped
};

// Writes kFrameHeaderBytes bytes to `out`.
void EncodeFrameHeader(const FrameHeader& header, char* out);

// Cuts a byte stream into frames. Holds memory only while a frame is incomplete, and no more than
// about twice what has arrived of it: an announced length is not believed. An oversized frame is
// reported as soon as its header is there.
class FrameDecoder {
 public:
  // The next frame. Takes what it used off the front of `input`; nullopt when `input` is used up.
  // Call it until then.
  std::optional<Frame> Next(std::string_view& input);

  // Whether the stream ends inside a frame if it ends here.
  bool is_inside_frame() const { return header_used_ > 0 || skip_ > 0; }

 private:
  bool TakeHeader(std::string_view& input);

  char header_bytes_[kFrameHeaderBytes];
  size_t header_used_ = 0;
  FrameHeader header_;   // valid when header_used_ is kFrameHeaderBytes
  size_t skip_ = 0;      // bytes of an oversized payload still to come
  std::string payload_;  // what has arrived of a payload that does not lie in one input
};

}  // namespace bulwark::ttrpc
