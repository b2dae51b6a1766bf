#include "plugin/policy/policy_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string_view>
#include <utility>

#include "lib/base/file_io.h"
#include "lib/base/unique_fd.h"

namespace bulwark::policy {
namespace {

using base::Code;
using base::Error;
using base::Result;
using base::Status;

constexpr size_t kDirectoryEntriesMax = 4096;

// Whoever may write a policy or a key decides what runs as root here. Group write counts: groups are not reviewed.
Status CheckOwnership(const struct stat& info, const std::string& path) {
  if (info.st_uid != 0 && info.st_uid != geteuid()) {
    return Error::Make(Code::kPermissionDenied, "use {}: owned by uid {}, must be root; chown it", path, info.st_uid);
  }
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return Error::Make(Code::kPermissionDenied, "use {}: writable by group or others (mode {:04o}); chmod go-w it", path,
                       info.st_mode & 07777U);
  }
  return base::OkStatus();
}

Status CheckDirectory(const std::string& path) {
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0) return Error::FromErrno("read policy directory {}", path);
  return CheckOwnership(info, path);
}

// Checks and reads the same open file, so that it cannot be swapped in between. O_NONBLOCK: a FIFO must not block us.
Result<std::string> ReadChecked(const std::string& path, size_t bytes_max, bool check_ownership) {
  const base::UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd.is_open()) return Error::FromErrno("open {}", path);
  struct stat info = {};
  if (fstat(fd.get(), &info) != 0) return Error::FromErrno("stat {}", path);
  if (!S_ISREG(info.st_mode)) return Error::Make(Code::kInvalidArgument, "read {}: not a regular file", path);
  if (check_ownership) RETURN_IF_ERROR(CheckOwnership(info, path));
  auto text = base::ReadAll(fd.get(), bytes_max);
  if (!text) return std::move(text).error().Wrap("read {}", path);
  return text;
}

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() > end.size() && text.substr(text.size() - end.size()) == end;
}

// Editors leave ".x.yaml.swp" and ".#x.yaml" behind: hidden files are not policies.
bool IsPolicyName(std::string_view name) {
  return name.front() != '.' && (EndsWith(name, ".yaml") || EndsWith(name, ".yml"));
}

Result<std::vector<std::string>> PolicyPaths(const std::string& path, bool check_ownership) {
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0) return Error::FromErrno("read policies in {}", path);
  if (!S_ISDIR(info.st_mode)) return std::vector<std::string>{path};
  if (check_ownership) RETURN_IF_ERROR(CheckDirectory(path));
  ASSIGN_OR_RETURN(const std::vector<std::string> names, base::ListDirectory(path, kDirectoryEntriesMax));
  const std::string prefix = path.back() == '/' ? path : path + "/";
  std::vector<std::string> paths;
  for (const std::string& name : names) {
    if (IsPolicyName(name)) paths.push_back(prefix + name);
  }
  return paths;
}

}  // namespace

Result<std::vector<PolicyFile>> ReadPolicyFiles(const std::string& path, bool check_ownership) {
  if (path.empty()) return Error::Make(Code::kInvalidArgument, "read policies: the path is empty");
  ASSIGN_OR_RETURN(const std::vector<std::string> paths, PolicyPaths(path, check_ownership));
  if (paths.size() > kPolicyFilesMax) {
    return Error::Make(Code::kResourceExhausted, "read policies in {}: more than {} files", path, kPolicyFilesMax);
  }
  std::vector<PolicyFile> files;
  for (const std::string& file : paths) {
    ASSIGN_OR_RETURN(std::string text, ReadChecked(file, kPolicyFileBytesMax, check_ownership));
    files.push_back(PolicyFile{file, std::move(text)});
  }
  return files;
}

KeyReader FileKeyReader(bool check_ownership) {
  return [check_ownership](const std::string& path) { return ReadChecked(path, kKeyFileBytesMax, check_ownership); };
}

PolicyStore::PolicyStore(std::string directory, KeyCheck check_key)
    : directory_(std::move(directory)),
      check_key_(std::move(check_key)),
      current_(std::make_shared<const PolicySet>()),
      last_error_(fmt::format("no policy was loaded from {} yet", directory_)) {}

Status PolicyStore::Reload() {
  const std::lock_guard<std::mutex> reload_lock(reload_mutex_);
  auto loaded = Load();
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!loaded) {
    last_error_ = loaded.error().message();
    return std::move(loaded).error();
  }
  current_ = std::move(loaded).value();
  last_error_.clear();
  return base::OkStatus();
}

Result<std::shared_ptr<const PolicySet>> PolicyStore::Load() const {
  ASSIGN_OR_RETURN(const std::vector<PolicyFile> files, ReadPolicyFiles(directory_, true));
  ASSIGN_OR_RETURN(PolicySet set, ParsePolicy(files, FileKeyReader(true), check_key_));
  return std::make_shared<const PolicySet>(std::move(set));
}

std::shared_ptr<const PolicySet> PolicyStore::Current() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return current_;
}

std::string PolicyStore::last_error() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return last_error_;
}

}  // namespace bulwark::policy
