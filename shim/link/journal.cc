#include "shim/link/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "lib/base/file_io.h"
#include "lib/journal/journal_format.h"

namespace bulwark::shim {
namespace {

using base::Code;
using base::Error;

constexpr int kOpenFlags = O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;

// Reads `length` bytes at `offset`, all of them.
base::Result<std::string> ReadAt(int fd, size_t offset, size_t length) {
  std::string bytes(length, '\0');
  size_t used = 0;
  while (used < length) {
    const ssize_t got =
        pread(fd, bytes.data() + used, length - used, static_cast<off_t>(offset + used));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error::FromErrno("read journal");
    if (got == 0)
      return Error(Code::kDataLoss, "read journal: file is shorter than what was written");
    used += static_cast<size_t>(got);
  }
  return bytes;
}

}  // namespace

base::Result<std::unique_ptr<EventJournal>> EventJournal::Open(std::string path) {
  std::unique_ptr<EventJournal> journal(new EventJournal(std::move(path)));
  if (!base::PathExists(journal->path_)) return journal;
  RETURN_IF_ERROR(journal->OpenFile(0));
  RETURN_IF_ERROR(journal->CutTornTail());
  return journal;
}

base::Status EventJournal::OpenFile(int flags) {
  base::UniqueFd file(open(path_.c_str(), kOpenFlags | flags, 0600));
  if (!file.is_open()) return Error::FromErrno("open journal {}", path_);
  struct stat info {};
  if (fstat(file.get(), &info) != 0) return Error::FromErrno("stat journal {}", path_);
  if (!S_ISREG(info.st_mode)) {
    return Error::Make(Code::kInvalidArgument, "open journal {}: not a regular file", path_);
  }
  if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      return Error::Make(Code::kFailedPrecondition, "open journal {}: another process has it open",
                         path_);
    }
    return Error::FromErrno("lock journal {}", path_);
  }
  file_ = std::move(file);
  return base::OkStatus();
}

base::Status EventJournal::CutTornTail() {
  ASSIGN_OR_RETURN(const journal::DecodedJournal decoded, journal::ReadJournal(path_));
  if (decoded.torn_bytes > 0 &&
      ftruncate(file_.get(), static_cast<off_t>(decoded.valid_bytes)) != 0) {
    return Error::FromErrno("cut journal {}", path_);
  }
  size_ = decoded.valid_bytes;
  return base::OkStatus();
}

base::Status EventJournal::Append(const v1::LifecycleEvent& event) {
  if (!file_.is_open()) RETURN_IF_ERROR(OpenFile(O_CREAT));
  ASSIGN_OR_RETURN(std::string bytes, journal::EncodeRecord(event));
  if (size_ == 0) bytes.insert(0, journal::kMagic);
  if (size_ + bytes.size() > journal::kJournalBytesMax) {
    return Error::Make(Code::kResourceExhausted, "append to journal {}: full", path_);
  }
  if (auto written = base::WriteAll(file_.get(), bytes); !written) {
    // What got in of it would hide every later record from a reader.
    if (ftruncate(file_.get(), static_cast<off_t>(size_)) != 0) {
      return Error::FromErrno("cut journal {} after a failed write", path_);
    }
    return std::move(written).error().Wrap("append to journal {}", path_);
  }
  size_ += bytes.size();
  return base::OkStatus();
}

base::Result<std::vector<v1::LifecycleEvent>> EventJournal::Read(Position& position,
                                                                 size_t max_events) const {
  std::vector<v1::LifecycleEvent> events;
  if (position.offset == 0) position.offset = journal::kMagic.size();
  while (position.offset < size_ && events.size() < max_events) {
    ASSIGN_OR_RETURN(const std::string head,
                     ReadAt(file_.get(), position.offset, journal::kRecordHeaderBytes));
    ASSIGN_OR_RETURN(const journal::RecordHeader header, journal::DecodeRecordHeader(head));
    ASSIGN_OR_RETURN(const std::string payload,
                     ReadAt(file_.get(), position.offset + head.size(), header.length));
    ASSIGN_OR_RETURN(v1::LifecycleEvent event, journal::DecodeRecordPayload(header, payload));
    events.push_back(std::move(event));
    position.offset += head.size() + payload.size();
  }
  return events;
}

bool EventJournal::empty() const { return size_ <= journal::kMagic.size(); }

base::Status EventJournal::Clear() {
  if (size_ == 0) return base::OkStatus();
  if (ftruncate(file_.get(), 0) != 0) return Error::FromErrno("empty journal {}", path_);
  size_ = 0;
  return base::OkStatus();
}

base::Status EventJournal::Remove() {
  if (!file_.is_open()) return base::OkStatus();
  RETURN_IF_ERROR(Clear());
  if (unlink(path_.c_str()) != 0 && errno != ENOENT)
    return Error::FromErrno("remove journal {}", path_);
  file_.Reset();
  return base::OkStatus();
}

}  // namespace bulwark::shim
