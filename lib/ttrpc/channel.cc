#include "lib/ttrpc/channel.h"

#include <errno.h>
#include <google/protobuf/message_lite.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>

namespace bulwark::ttrpc {
namespace {

constexpr size_t kReadChunkBytes = 16 * 1024;
constexpr int kChunksPerEvent = 4;  // then others get their turn

}  // namespace

base::Result<std::string> EncodeFrame(uint32_t stream_id, uint8_t type,
                                      const google::protobuf::MessageLite& message) {
  const size_t size = message.ByteSizeLong();
  if (size > kFramePayloadBytesMax) {
    return base::Error::Make(base::Code::kResourceExhausted,
                             "encode message of {} bytes: the maximum is {}", size,
                             kFramePayloadBytesMax);
  }
  std::string frame(kFrameHeaderBytes + size, '\0');
  FrameHeader header;
  header.length = static_cast<uint32_t>(size);
  header.stream_id = stream_id;
  header.type = type;
  EncodeFrameHeader(header, frame.data());
  if (!message.SerializeToArray(frame.data() + kFrameHeaderBytes, static_cast<int>(size))) {
    return base::Error(base::Code::kInternal, "encode message: protobuf refuses it");
  }
  return frame;
}

Channel::Channel(base::EventLoop& loop, base::UniqueFd socket, ChannelLimits limits)
    : loop_(loop), socket_(std::move(socket)), limits_(limits) {}

Channel::~Channel() { Close(); }

base::Status Channel::Open() {
  interest_ = EPOLLIN;
  auto watched =
      loop_.Watch(socket_.get(), interest_, [this](uint32_t events) { OnEvents(events); });
  if (!watched) Close();
  return watched;
}

void Channel::Close() {
  if (!socket_.is_open()) return;
  loop_.Unwatch(socket_.get());
  socket_.Reset();
  input_ended_ = true;
  output_broken_ = true;
  unsent_bytes_ = 0;
  queue_.clear();
  flush_tokens_.clear();
}

void Channel::Send(std::string frame) {
  if (!can_send()) return;
  size_t offset = 0;
  if (queue_.empty() && !WriteSome(frame, offset)) return;
  if (offset < frame.size()) {
    if (queue_.empty()) front_offset_ = offset;
    unsent_bytes_ += frame.size() - offset;
    queue_.push_back(std::move(frame));
    if (unsent_bytes_ > limits_.output_bytes_max) BreakOutput();
  }
  UpdateInterest();
}

void Channel::HoldUntilFlushed(std::shared_ptr<void> token) {
  if (unsent_bytes_ == 0) return;
  flush_tokens_.emplace_back(written_bytes_ + unsent_bytes_, std::move(token));
}

// Writes from `offset` on until the socket takes no more. False if the output broke.
bool Channel::WriteSome(const std::string& frame, size_t& offset) {
  while (offset < frame.size()) {
    const ssize_t sent = send(socket_.get(), frame.data() + offset, frame.size() - offset,
                              MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == ENOBUFS) return true;
      BreakOutput();
      return false;
    }
    offset += static_cast<size_t>(sent);
    written_bytes_ += static_cast<uint64_t>(sent);
  }
  return true;
}

void Channel::WriteQueued() {
  while (!queue_.empty()) {
    const size_t before = front_offset_;
    if (!WriteSome(queue_.front(), front_offset_)) return;
    unsent_bytes_ -= front_offset_ - before;
    if (front_offset_ < queue_.front().size()) break;
    queue_.pop_front();
    front_offset_ = 0;
  }
  ReleaseFlushed();
}

// Shuts the socket down both ways: what the peer has sent already can still be read, and then comes
// the end, so that every broken connection goes the same way as one that the peer closed.
void Channel::BreakOutput() {
  output_broken_ = true;
  queue_.clear();
  front_offset_ = 0;
  unsent_bytes_ = 0;
  flush_tokens_.clear();
  shutdown(socket_.get(), SHUT_RDWR);
  UpdateInterest();
}

void Channel::ReleaseFlushed() {
  const auto flushed = [this](const auto& token) { return token.first <= written_bytes_; };
  flush_tokens_.erase(
      flush_tokens_.begin(),
      std::find_if_not(flush_tokens_.begin(), flush_tokens_.end(), flushed));
}

void Channel::UpdateInterest() {
  uint32_t wanted = 0;
  if (!input_ended_ && unsent_bytes_ <= limits_.pause_reading_bytes) wanted |= EPOLLIN;
  if (!queue_.empty()) wanted |= EPOLLOUT;
  if (wanted == interest_) return;
  // Can fail only for a descriptor that is not watched.
  if (loop_.Modify(socket_.get(), wanted)) interest_ = wanted;
}

void Channel::OnEvents(uint32_t events) {
  const auto self = shared_from_this();  // a hook may drop the last other reference
  const bool has_gone = (events & (EPOLLHUP | EPOLLERR)) != 0;
  if ((events & EPOLLOUT) != 0 && !has_gone) WriteQueued();
  // Nobody will read the answers any more, but requests that came before are still done.
  if (has_gone && !output_broken_) BreakOutput();
  if (!input_ended_ && (has_gone || (events & EPOLLIN) != 0)) ReadAvailable();
  if (!is_open()) return;
  UpdateInterest();
  if (input_ended_) OnEnding();
}

void Channel::ReadAvailable() {
  char chunk[kReadChunkBytes];
  for (int i = 0; i < kChunksPerEvent; ++i) {
    const ssize_t got = recv(socket_.get(), chunk, sizeof chunk, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      input_ended_ = true;
      return;
    }
    std::string_view input(chunk, static_cast<size_t>(got));
    while (const auto frame = decoder_.Next(input)) {
      OnFrame(*frame);
      if (!is_open()) return;
    }
    if (static_cast<size_t>(got) < sizeof chunk) return;
    if (unsent_bytes_ > limits_.pause_reading_bytes) return;
  }
}

}  // namespace bulwark::ttrpc
