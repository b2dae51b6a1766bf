#include "lib/ttrpc/frame.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace bulwark::ttrpc {
namespace {

struct Decoded {
  uint32_t stream_id;
  uint8_t type;
  uint8_t flags;
  std::string payload;
  bool is_oversized;
  bool operator==(const Decoded& other) const {
    return stream_id == other.stream_id && type == other.type && flags == other.flags &&
           payload == other.payload && is_oversized == other.is_oversized;
  }
};

std::string Encode(uint32_t length, uint32_t stream_id, uint8_t type, uint8_t flags,
                   const std::string& payload) {
  FrameHeader header;
  header.length = length;
  header.stream_id = stream_id;
  header.type = type;
  header.flags = flags;
  std::string bytes(kFrameHeaderBytes, '\0');
  EncodeFrameHeader(header, bytes.data());
  return bytes + payload;
}

std::vector<Decoded> Decode(FrameDecoder& decoder, const std::string& bytes, size_t piece) {
  std::vector<Decoded> frames;
  for (size_t at = 0; at < bytes.size(); at += piece) {
    std::string_view input = std::string_view(bytes).substr(at, piece);
    while (const auto frame = decoder.Next(input)) {
      frames.push_back({frame->header.stream_id, frame->header.type, frame->header.flags,
                        std::string(frame->payload), frame->is_oversized});
    }
    EXPECT_TRUE(input.empty());
  }
  return frames;
}

TEST(FrameTest, TheHeaderIsBigEndian) {
  EXPECT_EQ(Encode(0x01020304, 0x05060708, 9, 10, ""),
            std::string("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a"));
}

TEST(FrameTest, FramesComeOutWholeHoweverTheyArrive) {
  const std::string large(70'000, 'L');
  const std::string bytes = Encode(3, 1, 1, 0, "abc") + Encode(0, 3, 2, 1, "") +
                            Encode(70'000, 5, 3, 7, large) + Encode(1, 0xffffffff, 255, 255, "z");
  const std::vector<Decoded> expected = {{1, 1, 0, "abc", false},
                                         {3, 2, 1, "", false},
                                         {5, 3, 7, large, false},
                                         {0xffffffff, 255, 255, "z", false}};
  for (const size_t piece : {size_t{1}, size_t{2}, size_t{9}, size_t{10}, size_t{11}, size_t{4096},
                             bytes.size()}) {
    FrameDecoder decoder;
    EXPECT_EQ(Decode(decoder, bytes, piece), expected) << piece;
    EXPECT_FALSE(decoder.is_inside_frame());
  }
}

TEST(FrameTest, TheLargestPayloadIsTakenAndOneByteMoreIsSkipped) {
  const std::string most(kFramePayloadBytesMax, 'm');
  const auto length = static_cast<uint32_t>(kFramePayloadBytesMax);
  const std::string bytes = Encode(length, 1, 1, 0, most) +
                            Encode(length + 1, 3, 1, 0, most + "x") + Encode(2, 5, 1, 0, "ok");
  const std::vector<Decoded> expected = {
      {1, 1, 0, most, false}, {3, 1, 0, "", true}, {5, 1, 0, "ok", false}};
  for (const size_t piece : {size_t{16 * 1024}, size_t{1000}, bytes.size()}) {
    FrameDecoder decoder;
    EXPECT_EQ(Decode(decoder, bytes, piece), expected) << piece;
  }
}

TEST(FrameTest, AnOversizedFrameIsReportedBeforeItsPayloadArrives) {
  FrameDecoder decoder;
  const auto frames = Decode(decoder, Encode(0xffffffff, 7, 1, 0, ""), 10);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_TRUE(frames[0].is_oversized);
  EXPECT_TRUE(decoder.is_inside_frame());
}

TEST(FrameTest, AnUnfinishedFrameIsNotReported) {
  FrameDecoder decoder;
  EXPECT_TRUE(Decode(decoder, Encode(4, 1, 1, 0, "abc"), 64).empty());
  EXPECT_TRUE(decoder.is_inside_frame());
  const auto frames = Decode(decoder, "d", 1);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].payload, "abcd");
  EXPECT_FALSE(decoder.is_inside_frame());
}

}  // namespace
}  // namespace bulwark::ttrpc
