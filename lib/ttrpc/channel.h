// One ttrpc connection, as client and server share it: frames in, frames out, bounded buffers. Only
// for client.cc and server.cc, which derive from it.
//
// Idle, it holds no buffer: input is decoded from the stack, output goes straight to the socket
// while that takes it. Life of a channel: open; input ended (the peer sends no more, answers can
// still go out); output broken (nothing can be sent, what has arrived is still read); closed (no
// hook runs any more). Thread: the loop's. Must live in a shared_ptr.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/event_loop.h"
#include "lib/base/result.h"
#include "lib/base/unique_fd.h"
#include "lib/ttrpc/frame.h"

namespace google::protobuf {
class MessageLite;
}

namespace bulwark::ttrpc {

struct ChannelLimits {
  // More unsent output than this breaks the output: the peer does not read.
  size_t output_bytes_max = 8 << 20;
  // With more unsent output than this, nothing is read: the peer is slow. Only for the side that
  // answers: if both sides did it, they could wait for each other for ever.
  size_t pause_reading_bytes = SIZE_MAX;
};

// `message` as one frame. kResourceExhausted if it is over kFramePayloadBytesMax.
base::Result<std::string> EncodeFrame(uint32_t stream_id, uint8_t type,
                                      const google::protobuf::MessageLite& message);

class Channel : public std::enable_shared_from_this<Channel> {
 public:
  Channel(base::EventLoop& loop, base::UniqueFd socket, ChannelLimits limits);
  virtual ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // Starts watching the socket. On an error the channel is closed.
  base::Status Open();
  // Drops unsent output. No hook runs after this.
  void Close();
  // Writes a frame, or queues what the socket does not take. A frame for a broken output is
  // dropped. Runs no hook.
  void Send(std::string frame);
  // Holds `token` until everything queued so far is written, or never will be.
  void HoldUntilFlushed(std::shared_ptr<void> token);

  bool is_open() const { return socket_.is_open(); }
  bool can_send() const { return is_open() && !output_broken_; }
  bool has_input_ended() const { return input_ended_; }
  size_t unsent_bytes() const { return unsent_bytes_; }

 protected:
  base::EventLoop& loop() { return loop_; }

 private:
  // A frame has arrived; its payload is valid during the call.
  virtual void OnFrame(const Frame& frame) = 0;
  // The input has ended, or, after it has, the output was flushed or broken.
  virtual void OnEnding() = 0;

  void OnEvents(uint32_t events);
  void ReadAvailable();
  void WriteQueued();
  bool WriteSome(const std::string& frame, size_t& offset);
  void BreakOutput();
  void ReleaseFlushed();
  void UpdateInterest();

  base::EventLoop& loop_;
  base::UniqueFd socket_;
  const ChannelLimits limits_;
  FrameDecoder decoder_;
  bool input_ended_ = false;
  bool output_broken_ = false;
  uint32_t interest_ = 0;
  std::list<std::string> queue_;
  size_t front_offset_ = 0;  // bytes of queue_.front() that are written
  size_t unsent_bytes_ = 0;
  uint64_t written_bytes_ = 0;
  // Each with the value of written_bytes_ that frees it; ascending.
  std::vector<std::pair<uint64_t, std::shared_ptr<void>>> flush_tokens_;
};

}  // namespace bulwark::ttrpc
