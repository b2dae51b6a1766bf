// Whole-file reading and writing with bounds, and crash-safe replacement. All calls block; all descriptors are O_CLOEXEC.
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "lib/base/unique_fd.h"

namespace bulwark::base {

// Reads a regular file whole. kNotFound if it is absent, kResourceExhausted if it is larger than `max_bytes`
// (nothing is read then), kInvalidArgument if it is not a regular file.
Result<std::string> ReadFile(const std::string& path, size_t max_bytes);
// The same below a directory descriptor, with openat2 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS: for names from outside.
Result<std::string> ReadFileBeneath(const UniqueFd& dir, const std::string& name, size_t max_bytes);
// The same from an open descriptor (from its current offset, may be a pipe).
Result<std::string> ReadAll(int fd, size_t max_bytes);
// For /proc and /sys files, which lie about their size. Bounded all the same.
Result<std::string> ReadPseudoFile(const std::string& path, size_t max_bytes);

// Writes all bytes, retrying on short writes and EINTR.
Status WriteAll(int fd, std::string_view bytes);
// Replaces `path` atomically: writes "<path>.tmp.<pid>", renames it over; with `durable`, fsyncs file and directory.
// The file gets `mode` whatever the umask. Not for one path by two threads at once.
Status ReplaceFile(const std::string& path, std::string_view bytes, mode_t mode, bool durable);

Result<UniqueFd> OpenDirectory(const std::string& path);
// mkdir -p. Existing directories are left as they are; new ones get `mode` less the umask.
Status MakeDirectories(const std::string& path, mode_t mode);
// Sorted names, without "." and "..". kResourceExhausted if there are more than `max_entries`.
Result<std::vector<std::string>> ListDirectory(const std::string& path, size_t max_entries);
// fsync of a directory, after a create or rename in it.
Status SyncDirectory(const std::string& path);
bool PathExists(const std::string& path);

}  // namespace bulwark::base
