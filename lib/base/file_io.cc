#include "lib/base/file_io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "lib/base/cleanup.h"

namespace bulwark::base {
namespace {

constexpr size_t kReadChunk = 4096;

// O_NONBLOCK, so that a fifo or a device put in the file's place cannot hang the open; it changes
// nothing for files.
constexpr int kReadFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

Error TooLarge(std::string_view name, size_t max_bytes) {
  return Error::Make(Code::kResourceExhausted, "read {}: larger than {} bytes", name, max_bytes);
}

// Reads to the end of the file. `expected` only sizes the first buffer.
Result<std::string> ReadToEnd(int fd, std::string_view name, size_t expected, size_t max_bytes) {
  std::string text;
  size_t used = 0;
  for (;;) {
    if (used == text.size()) {
      if (used > max_bytes) return TooLarge(name, max_bytes);
      // One byte beyond what is expected or allowed, so that the end (or the excess) shows in the
      // same read.
      const size_t want =
          used == 0 ? std::max(expected, size_t{1}) : used + std::max(used, kReadChunk);
      text.resize(std::min(want, max_bytes) + 1);
    }
    const ssize_t got = read(fd, text.data() + used, text.size() - used);
    if (got < 0) {
      if (errno == EINTR) continue;
      return Error::FromErrno("read {}", name);
    }
    if (got == 0) break;
    used += static_cast<size_t>(got);
  }
  if (used > max_bytes) return TooLarge(name, max_bytes);
  text.resize(used);
  return text;
}

Result<std::string> ReadRegular(const UniqueFd& file, const std::string& name, size_t max_bytes) {
  struct stat info {};
  if (fstat(file.get(), &info) != 0) return Error::FromErrno("stat {}", name);
  if (!S_ISREG(info.st_mode)) {
    return Error::Make(Code::kInvalidArgument, "read {}: not a regular file", name);
  }
  const auto size = static_cast<size_t>(info.st_size);
  if (size > max_bytes) return TooLarge(name, max_bytes);
  return ReadToEnd(file.get(), name, size, max_bytes);
}

std::string ParentOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Result<std::string> ReadFile(const std::string& path, size_t max_bytes) {
  const UniqueFd file(open(path.c_str(), kReadFlags));
  if (!file.is_open()) return Error::FromErrno("open {}", path);
  return ReadRegular(file, path, max_bytes);
}

Result<std::string> ReadFileBeneath(const UniqueFd& dir, const std::string& name,
                                    size_t max_bytes) {
  open_how how{};
  how.flags = static_cast<uint64_t>(kReadFlags);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  const UniqueFd file(
      static_cast<int>(syscall(SYS_openat2, dir.get(), name.c_str(), &how, sizeof how)));
  if (!file.is_open()) return Error::FromErrno("open {}", name);
  return ReadRegular(file, name, max_bytes);
}

Result<std::string> ReadAll(int fd, size_t max_bytes) {
  return ReadToEnd(fd, fmt::format("descriptor {}", fd), kReadChunk, max_bytes);
}

Result<std::string> ReadPseudoFile(const std::string& path, size_t max_bytes) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!file.is_open()) return Error::FromErrno("open {}", path);
  return ReadToEnd(file.get(), path, kReadChunk, max_bytes);
}

Status WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return Error::FromErrno("write {} bytes to descriptor {}", bytes.size(), fd);
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return OkStatus();
}

Status ReplaceFile(const std::string& path, std::string_view bytes, mode_t mode, bool durable) {
  const std::string temporary = fmt::format("{}.tmp.{}", path, getpid());
  // A leftover of a process that had our id and crashed. O_EXCL below refuses whatever else comes
  // in between.
  if (unlink(temporary.c_str()) != 0 && errno != ENOENT) {
    return Error::FromErrno("unlink {}", temporary);
  }
  UniqueFd file(
      open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode & 0600U));
  if (!file.is_open()) return Error::FromErrno("create {}", temporary);
  Cleanup remove([&] { unlink(temporary.c_str()); });
  if (auto written = WriteAll(file.get(), bytes); !written) {
    return std::move(written).error().Wrap("replace {}", path);
  }
  // Whatever the umask says.
  if (fchmod(file.get(), mode) != 0) return Error::FromErrno("chmod {}", temporary);
  if (durable && fsync(file.get()) != 0) return Error::FromErrno("fsync {}", temporary);
  file.Reset();
  if (rename(temporary.c_str(), path.c_str()) != 0) {
    return Error::FromErrno("rename {} to {}", temporary, path);
  }
  remove.Cancel();
  return durable ? SyncDirectory(ParentOf(path)) : OkStatus();
}

Result<UniqueFd> OpenDirectory(const std::string& path) {
  UniqueFd dir(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir.is_open()) return Error::FromErrno("open directory {}", path);
  return dir;
}

Status MakeDirectories(const std::string& path, mode_t mode) {
  if (path.empty()) return Error(Code::kInvalidArgument, "make directory: empty path");
  for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    if (mkdir(part.c_str(), mode) != 0 && errno != EEXIST) {
      return Error::FromErrno("make directory {}", part);
    }
    if (end == std::string::npos) break;
  }
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return Error::FromErrno("stat {}", path);
  if (!S_ISDIR(info.st_mode)) {
    return Error::WithErrno(ENOTDIR, fmt::format("make directory {}", path));
  }
  return OkStatus();
}

Result<std::vector<std::string>> ListDirectory(const std::string& path, size_t max_entries) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(path.c_str()), closedir);
  if (dir == nullptr) return Error::FromErrno("open directory {}", path);
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = readdir(dir.get());
    if (entry == nullptr) {
      if (errno != 0) return Error::FromErrno("read directory {}", path);
      break;
    }
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (names.size() == max_entries) {
      return Error::Make(Code::kResourceExhausted, "read directory {}: more than {} entries", path,
                         max_entries);
    }
    names.emplace_back(entry->d_name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

Status SyncDirectory(const std::string& path) {
  ASSIGN_OR_RETURN(const UniqueFd dir, OpenDirectory(path));
  if (fsync(dir.get()) != 0) return Error::FromErrno("fsync directory {}", path);
  return OkStatus();
}

bool PathExists(const std::string& path) { return faccessat(AT_FDCWD, path.c_str(), F_OK, 0) == 0; }

}  // namespace bulwark::base
