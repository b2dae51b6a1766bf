#include "plugin/audit/segment_storage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>

namespace bulwark::audit {
namespace {

using base::Error;
using base::Result;
using base::Status;
using base::UniqueFd;

class FileStorage : public SegmentStorage {
 public:
  Result<UniqueFd> Create(const std::string& path, uint64_t bytes) override {
    UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd.is_open()) return Error::FromErrno("create {}", path);
    if (Status filled = Fill(fd.get(), path, bytes); !filled) {
      unlink(path.c_str());
      return std::move(filled).error();
    }
    return fd;
  }

  Status WriteAt(int fd, std::string_view bytes, uint64_t offset) override {
    while (!bytes.empty()) {
      const ssize_t written = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (written < 0) {
        if (errno == EINTR) continue;
        return Error::FromErrno("write {} bytes at offset {} of a segment", bytes.size(), offset);
      }
      bytes.remove_prefix(static_cast<size_t>(written));
      offset += static_cast<uint64_t>(written);
    }
    return base::OkStatus();
  }

  Status Sync(int fd) override {
    if (fdatasync(fd) != 0) return Error::FromErrno("fdatasync a segment");
    return base::OkStatus();
  }

 private:
  Status Fill(int fd, const std::string& path, uint64_t bytes) {
    // A full disk shows at once here, before anything is written. File systems without it are told
    // by the writes.
    if (fallocate(fd, 0, 0, static_cast<off_t>(bytes)) != 0 && errno != EOPNOTSUPP) {
      return Error::FromErrno("allocate {} bytes for {}", bytes, path);
    }
    const std::string zeros(256 * 1024, '\0');
    for (uint64_t offset = 0; offset < bytes;) {
      const size_t part = static_cast<size_t>(std::min<uint64_t>(zeros.size(), bytes - offset));
      RETURN_IF_ERROR(WriteAt(fd, std::string_view(zeros).substr(0, part), offset));
      offset += part;
    }
    return Sync(fd);
  }
};

}  // namespace

SegmentStorage& FileSegmentStorage() {
  static FileStorage* storage = new FileStorage;
  return *storage;
}

bool IsDiskFull(const Error& error) {
  return error.os_errno() == ENOSPC || error.os_errno() == EDQUOT || error.os_errno() == EFBIG;
}

}  // namespace bulwark::audit
