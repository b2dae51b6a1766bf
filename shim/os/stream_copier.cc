#include "shim/os/stream_copier.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "lib/base/logging.h"

namespace bulwark::shim {
namespace {

constexpr size_t kSpliceBytesMax = 64 * 1024;
// Copies of one turn of the loop: a busy stream must not starve the others, nor the requests.
constexpr int kStepsPerTurn = 16;
// Below this a copy is as cheap as a splice, and it lets the pipe merge small writes into one page.
// Spliced, every line would take one of the fifo's 16 slots, and 16 short lines would fill it.
constexpr int kSpliceBytesMin = 4096;

// One thread, one loop, and no copier keeps anything here between two calls: one buffer for all.
std::array<char, 8192> shared_buffer;

bool IsWritable(int fd) {
  pollfd state{fd, POLLOUT, 0};
  return poll(&state, 1, 0) > 0 && (state.revents & (POLLOUT | POLLERR)) != 0;
}

}  // namespace

StreamCopier::StreamCopier(base::EventLoop& loop, Source source, Sink sink,
                           std::function<void()> on_done)
    : loop_(loop),
      source_(std::move(source)),
      sink_(std::move(sink)),
      on_done_(std::move(on_done)),
      can_splice_(!source_.is_terminal && !sink_.is_terminal) {}

StreamCopier::~StreamCopier() { Close(); }

void StreamCopier::Start() { WaitForSource(); }

void StreamCopier::FinishWhenEmpty() {
  finish_when_empty_ = true;
  // A full sink continues by itself when it has room, and the end is noticed then.
  if (source_.fd.is_open() && !waits_for_sink_ && pump_token_ == nullptr) Pump();
}

void StreamCopier::Close() {
  on_done_ = nullptr;
  Finish();
}

// May destroy `this` through on_done_: callers return at once after it.
void StreamCopier::Finish() {
  StopWaiting();
  source_.fd.Reset();
  sink_.fd.Reset();
  sink_.keep_alive.Reset();
  if (const auto on_done = std::exchange(on_done_, nullptr); on_done) on_done();
}

void StreamCopier::Pump() {
  for (int i = 0; i < kStepsPerTurn; ++i) {
    switch (MoveOnce()) {
      case Step::kMoved:
        break;
      case Step::kSourceEmpty:
        return finish_when_empty_ ? Finish() : WaitForSource();
      case Step::kSinkFull:
        return WaitForSink();
      case Step::kEnd:
        return Finish();
    }
  }
  // More is there: watching anew reports it even where the source is edge-triggered.
  StopWaiting();
  pending_.empty() ? WaitForSource() : WaitForSink();
}

StreamCopier::Step StreamCopier::MoveOnce() {
  if (!pending_.empty()) return WritePending();
  if (!can_splice_ || is_discarding_) return ReadAndWrite();
  int available = 0;
  if (ioctl(source_.fd.get(), FIONREAD, &available) == 0 && available > 0 &&
      available < kSpliceBytesMin) {
    return ReadAndWrite();
  }
  return Splice();
}

StreamCopier::Step StreamCopier::Splice() {
  const ssize_t moved = splice(source_.fd.get(), nullptr, sink_.fd.get(), nullptr, kSpliceBytesMax,
                               SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
  if (moved > 0) return Step::kMoved;
  if (moved == 0) return Step::kEnd;
  switch (errno) {
    case EINTR:
      return Step::kMoved;
    case EAGAIN: {
      // Either side may be the reason.
      int available = 0;
      if (ioctl(source_.fd.get(), FIONREAD, &available) != 0 || available == 0) {
        return Step::kSourceEmpty;
      }
      return ReadAndWrite();
    }
    case EINVAL:  // e.g. a sink opened with O_APPEND (splice(2), ERRORS)
    case ENOSYS:
      can_splice_ = false;
      return Step::kMoved;
    default:
      return SinkFailed();
  }
}

StreamCopier::Step StreamCopier::ReadAndWrite() {
  // Asked before reading, so that what is read can be handed on: nearly always nothing needs to be
  // kept.
  if (!is_discarding_ && !IsWritable(sink_.fd.get())) return Step::kSinkFull;
  const ssize_t got = read(source_.fd.get(), shared_buffer.data(), shared_buffer.size());
  if (got < 0) return AfterEmptyRead(errno);
  if (got == 0) return Step::kEnd;
  if (is_discarding_) return Step::kMoved;

  const auto size = static_cast<size_t>(got);
  const ssize_t put = write(sink_.fd.get(), shared_buffer.data(), size);
  if (put == got) {
    // A short read emptied the source. Level-triggered readiness says so if not; an edge must be
    // read to its end.
    const bool is_empty = size < shared_buffer.size() && !source_.is_terminal;
    return is_empty ? Step::kSourceEmpty : Step::kMoved;
  }
  if (put < 0 && errno != EAGAIN && errno != EINTR) return SinkFailed();
  const size_t written = put < 0 ? 0 : static_cast<size_t>(put);
  pending_.assign(shared_buffer.data() + written, size - written);
  return Step::kMoved;
}

StreamCopier::Step StreamCopier::AfterEmptyRead(int read_errno) {
  if (read_errno == EINTR) return Step::kMoved;
  if (read_errno == EAGAIN) return Step::kSourceEmpty;
  if (read_errno == EIO && source_.is_terminal) return Step::kSourceEmpty;
  return Step::kEnd;
}

StreamCopier::Step StreamCopier::WritePending() {
  const ssize_t put = write(sink_.fd.get(), pending_.data(), pending_.size());
  if (put < 0) {
    if (errno == EINTR) return Step::kMoved;
    if (errno == EAGAIN) return Step::kSinkFull;
    return SinkFailed();
  }
  pending_.erase(0, static_cast<size_t>(put));
  if (pending_.empty()) pending_.shrink_to_fit();
  return pending_.empty() ? Step::kMoved : Step::kSinkFull;
}

// errno is that of the write or splice that failed.
StreamCopier::Step StreamCopier::SinkFailed() {
  if (!sink_.drains_on_error) return Step::kEnd;
  const base::Error error = base::Error::FromErrno("write to stdio sink");
  base::LogWarn("container output is being dropped", {{"error", error.message()}});
  pending_.clear();
  is_discarding_ = true;
  return Step::kMoved;
}

void StreamCopier::WaitForSource() {
  if (waits_for_sink_) StopWaiting();
  if (waits_for_source_) return;
  const uint32_t events = source_.is_terminal ? EPOLLIN | EPOLLET : EPOLLIN;
  const auto status = loop_.Watch(source_.fd.get(), events, [this](uint32_t) { Pump(); });
  if (!status) {
    base::LogError("cannot watch container stdio", {{"error", status.error().message()}});
    return;
  }
  waits_for_source_ = true;
}

// The source is not watched meanwhile: EPOLLIN or EPOLLHUP of it, which cannot be masked, would
// spin.
void StreamCopier::WaitForSink() {
  if (waits_for_source_) StopWaiting();
  if (waits_for_sink_ || pump_token_ != nullptr) return;
  const uint32_t events = sink_.is_terminal ? EPOLLOUT | EPOLLET : EPOLLOUT;
  const auto status = loop_.Watch(sink_.fd.get(), events, [this](uint32_t) { Pump(); });
  // A regular file cannot be watched (epoll_ctl(2), EPERM), and it always takes more or fails.
  if (!status && status.error().os_errno() == EPERM) return PumpSoon();
  if (!status) {
    base::LogError("cannot watch stdio sink", {{"error", status.error().message()}});
    return;
  }
  waits_for_sink_ = true;
}

void StreamCopier::PumpSoon() {
  pump_token_ = std::make_shared<bool>();
  loop_.Post([this, token = std::weak_ptr<bool>(pump_token_)] {
    if (token.expired()) return;
    pump_token_ = nullptr;
    Pump();
  });
}

void StreamCopier::StopWaiting() {
  pump_token_ = nullptr;
  if (waits_for_source_) loop_.Unwatch(source_.fd.get());
  if (waits_for_sink_) loop_.Unwatch(sink_.fd.get());
  waits_for_source_ = false;
  waits_for_sink_ = false;
}

}  // namespace bulwark::shim
