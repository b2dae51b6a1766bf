#include "plugin/audit/segment_scanner.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

namespace bulwark::audit {
namespace {

using base::Code;
using base::Error;
using base::Result;
using base::Status;
using base::UniqueFd;

// Frames are searched for behind damage; a file made of frame beginnings only must not make that
// quadratic.
constexpr size_t kSearchBytesMax = size_t{256} << 20;

}  // namespace

Result<SegmentScanner> SegmentScanner::Open(const std::string& directory, const std::string& name) {
  std::string path = directory + "/" + name;
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.is_open()) return Error::FromErrno("open {}", path);
  SegmentScanner scanner(std::move(fd), std::move(path));
  RETURN_IF_ERROR(scanner.ReadAt(0, kSegmentHeaderBytes));
  auto header = DecodeSegmentHeader(scanner.buffer_);
  if (!header) return std::move(header).error().Wrap("{}", name);
  scanner.header_ = *header;
  return scanner;
}

Status SegmentScanner::ReadAt(uint64_t offset, size_t bytes) {
  buffer_.resize(bytes);
  size_t filled = 0;
  while (filled < bytes) {
    const ssize_t got = pread(fd_.get(), buffer_.data() + filled, bytes - filled,
                              static_cast<off_t>(offset + filled));
    if (got < 0) {
      if (errno == EINTR) continue;
      return Error::FromErrno("read {}", path_);
    }
    if (got == 0) break;
    filled += static_cast<size_t>(got);
  }
  buffer_.resize(filled);
  return base::OkStatus();
}

Result<std::optional<FrameView>> SegmentScanner::Next() {
  RETURN_IF_ERROR(ReadAt(offset_, kFrameHeaderBytes));
  const auto frame_bytes = PeekFrameBytes(buffer_);
  if (!frame_bytes) return std::optional<FrameView>();
  RETURN_IF_ERROR(ReadAt(offset_, *frame_bytes));
  auto frame = DecodeFrame(buffer_);
  if (!frame) return std::optional<FrameView>();
  offset_ += frame->frame_bytes;
  return std::optional<FrameView>(*std::move(frame));
}

Result<bool> SegmentScanner::AtZeros() {
  RETURN_IF_ERROR(ReadAt(offset_, kFrameHeaderBytes));
  return buffer_.find_first_not_of('\0') == std::string::npos;
}

Result<Tail> SegmentScanner::ClassifyTail() {
  Tail tail;
  const off_t end = lseek(fd_.get(), 0, SEEK_END);
  if (end < 0) return Error::FromErrno("seek in {}", path_);
  if (static_cast<uint64_t>(end) < header_.segment_bytes) {
    tail.kind = Tail::Kind::kBroken;
    tail.reason = fmt::format("file has {} of {} bytes", end, header_.segment_bytes);
    return tail;
  }
  const size_t left = static_cast<size_t>(static_cast<uint64_t>(end) - offset_);
  if (left > (size_t{1} << 30))
    return Error::Make(Code::kDataLoss, "{} is larger than 1 GiB", path_);
  RETURN_IF_ERROR(ReadAt(offset_, left));
  const size_t last = buffer_.find_last_not_of('\0');
  if (last == std::string::npos) return tail;
  tail.bytes = last + 1;
  tail.kind = Tail::Kind::kTorn;
  tail.reason = "the last frame is incomplete or damaged";
  if (tail.bytes > kFrameBytesMax) {
    tail.kind = Tail::Kind::kBroken;
    tail.reason = "bytes where no write can have been under way";
    return tail;
  }
  // One frame is in flight at a time, and it is synced before the next is written: a whole frame
  // behind damage means that the damage is not from a crash. Strings in records hold no NUL, so
  // none can pose as a frame.
  size_t searched = 0;
  for (size_t at = 8; at < tail.bytes; at += 8) {
    const std::string_view rest = std::string_view(buffer_).substr(at);
    const auto frame_bytes = PeekFrameBytes(rest);
    if (!frame_bytes) continue;
    searched += *frame_bytes;
    if (searched > kSearchBytesMax || DecodeFrame(rest).has_value()) {
      tail.kind = Tail::Kind::kBroken;
      tail.reason = "damaged, and whole frames follow";
      return tail;
    }
  }
  return tail;
}

}  // namespace bulwark::audit
