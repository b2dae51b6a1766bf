#include "shim/command/socket_directory.h"

#include <errno.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "lib/base/file_io.h"
#include "lib/base/unix_socket.h"

namespace bulwark::shim {
namespace {

constexpr std::string_view kUnixScheme = "unix://";
constexpr size_t kSocketNameChars = 64;  // a SHA-256 in hexadecimal
constexpr int kLockAttempts = 2'000;
constexpr timespec kLockPause = {0, 1'000'000};

bool IsShimSocketName(std::string_view name) {
  return name.size() == kSocketNameChars && std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace

base::Result<SocketDirectoryLock> SocketDirectoryLock::Take(const std::string& directory) {
  auto opened = base::OpenDirectory(directory);
  if (!opened && opened.error().code() == base::Code::kNotFound) {
    RETURN_IF_ERROR(base::MakeDirectories(directory, 0700));
    opened = base::OpenDirectory(directory);
  }
  if (!opened) return std::move(opened).error();
  for (int attempt = 0; attempt < kLockAttempts && flock(opened->get(), LOCK_EX | LOCK_NB) != 0;
       ++attempt) {
    if (errno != EWOULDBLOCK && errno != EINTR) return base::Error::FromErrno("lock {}", directory);
    nanosleep(&kLockPause, nullptr);
  }
  return SocketDirectoryLock(*std::move(opened));
}

std::string SocketPathOfAddress(std::string_view address) {
  if (address.substr(0, kUnixScheme.size()) != kUnixScheme) return {};
  address.remove_prefix(kUnixScheme.size());
  while (!address.empty() && (address.back() == '\n' || address.back() == ' '))
    address.remove_suffix(1);
  return !address.empty() && address.front() == '/' ? std::string(address) : std::string();
}

void RemoveDeadSocket(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos || slash == 0 ||
      !IsShimSocketName(std::string_view(path).substr(slash + 1))) {
    return;
  }
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0 || !S_ISSOCK(info.st_mode)) return;
  const auto lock = SocketDirectoryLock::Take(path.substr(0, slash));
  if (!lock) return;
  const auto probe = base::ConnectUnix(path);
  if (!probe && probe.error().os_errno() == ECONNREFUSED) unlink(path.c_str());
}

}  // namespace bulwark::shim
