#include "plugin/audit/segment_pool.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/file_io.h"

namespace bulwark::audit {
namespace {

using base::Code;
using base::Error;
using base::Result;
using base::Status;
using base::UniqueFd;

constexpr char kSpare[] = "spare";
constexpr char kReserve[] = "reserve";

bool HasSize(const std::string& path, uint64_t bytes) {
  struct stat info;
  return lstat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
         static_cast<uint64_t>(info.st_size) == bytes;
}

}  // namespace

SegmentPool::SegmentPool(std::string directory, uint64_t segment_bytes, uint64_t reserve_bytes,
                         SegmentStorage* storage)
    : directory_(std::move(directory)),
      segment_bytes_(segment_bytes),
      reserve_bytes_(reserve_bytes),
      storage_(storage) {}

SegmentPool::~SegmentPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

Status SegmentPool::Start() {
  {
    const std::lock_guard lock(mutex_);
    has_spare_ = HasSize(directory_ + "/" + kSpare, segment_bytes_);
    has_reserve_ = reserve_bytes_ > 0 && HasSize(directory_ + "/" + kReserve, reserve_bytes_);
    if (reserve_bytes_ > 0 && !has_reserve_) {
      const Status made = Prepare(kReserve, reserve_bytes_);
      if (!made && !IsDiskFull(made.error())) return made;
      has_reserve_ = made.has_value();
    }
    wanted_ = true;
  }
  thread_ = std::thread([this] { Run(); });
  return base::OkStatus();
}

void SegmentPool::Run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return wanted_ || stopping_; });
    if (stopping_) return;
    wanted_ = false;
    // The lock is held meanwhile: a writer that needs a segment now would have to make the same
    // file itself. A failure shows when that writer asks, and is tried again at the next
    // Replenish().
    if (reserve_bytes_ > 0 && !has_reserve_) {
      has_reserve_ = Prepare(kReserve, reserve_bytes_).has_value();
    }
    if (!has_spare_) has_spare_ = Prepare(kSpare, segment_bytes_).has_value();
  }
}

Status SegmentPool::Prepare(const char* name, uint64_t bytes) {
  const std::string path = directory_ + "/" + name;
  const std::string unfinished = path + ".tmp";
  ASSIGN_OR_RETURN(const UniqueFd fd, storage_->Create(unfinished, bytes));
  if (rename(unfinished.c_str(), path.c_str()) != 0) {
    return Error::FromErrno("rename {}", unfinished);
  }
  return base::OkStatus();
}

Result<NewSegment> SegmentPool::Adopt(const char* name, const SegmentHeader& header) {
  const std::string from = directory_ + "/" + name;
  const std::string to =
      directory_ + "/" + SegmentFileName(header.epoch_ordinal, header.first_sequence);
  UniqueFd fd(open(from.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.is_open()) return Error::FromErrno("open {}", from);
  // The header is durable before the file gets its name: a segment without a header is never an
  // honest crash.
  RETURN_IF_ERROR(storage_->WriteAt(fd.get(), EncodeSegmentHeader(header), 0));
  RETURN_IF_ERROR(storage_->Sync(fd.get()));
  if (rename(from.c_str(), to.c_str()) != 0) return Error::FromErrno("rename {} to {}", from, to);
  RETURN_IF_ERROR(base::SyncDirectory(directory_));
  NewSegment segment;
  segment.fd = std::move(fd);
  segment.bytes = header.segment_bytes;
  return segment;
}

Result<NewSegment> SegmentPool::TakeSegment(SegmentHeader header) {
  const std::lock_guard lock(mutex_);
  if (!has_spare_) RETURN_IF_ERROR(Prepare(kSpare, segment_bytes_));
  header.segment_bytes = segment_bytes_;
  has_spare_ = false;  // even if adopting fails: a file that failed once is not trusted again
  auto segment = Adopt(kSpare, header);
  wanted_ = true;
  wake_.notify_all();
  return segment;
}

Result<NewSegment> SegmentPool::TakeReserve(SegmentHeader header) {
  const std::lock_guard lock(mutex_);
  if (!has_reserve_) return Error(Code::kNotFound, "the audit reserve is used up");
  header.segment_bytes = reserve_bytes_;
  header.flags |= kFlagReserve;
  has_reserve_ = false;
  return Adopt(kReserve, header);
}

void SegmentPool::Replenish() {
  const std::lock_guard lock(mutex_);
  wanted_ = true;
  wake_.notify_all();
}

uint64_t SegmentPool::reserve_bytes_free() const {
  const std::lock_guard lock(mutex_);
  return has_reserve_ ? reserve_bytes_ : 0;
}

}  // namespace bulwark::audit
