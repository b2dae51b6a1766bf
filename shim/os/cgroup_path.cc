#include "shim/os/cgroup_path.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include <linux/magic.h>

#include "lib/base/file_io.h"
#include "shim/os/flat_file.h"

namespace bulwark::shim {
namespace {

using base::Code;
using base::Error;
using base::Result;
using base::Status;

constexpr size_t kProcCgroupBytesMax = 64 * 1024;
constexpr size_t kProcsFileBytesMax = 1024 * 1024;
constexpr size_t kProcessesMax = 65536;
constexpr size_t kCgroupsMax = 4096;
constexpr size_t kDepthMax = 32;

bool IsDirectory(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

// Paths are relative to the root of our cgroup namespace; one that lies outside shows as "/..".
Status CheckPath(std::string_view path) {
  if (path.empty() || path.front() != '/') {
    return Error::Make(Code::kInvalidArgument, "cgroup path {}: not absolute", path);
  }
  for (size_t i = 0; i < path.size();) {
    const size_t end = std::min(path.find('/', i), path.size());
    if (path.substr(i, end - i) == "..") {
      return Error::Make(Code::kInvalidArgument, "cgroup path {}: outside of our namespace", path);
    }
    i = end + 1;
  }
  return base::OkStatus();
}

std::string Join(const std::string& root, std::string_view path) {
  return path == "/" ? root : fmt::format("{}{}", root, path);
}

// One line: "ID:controller,controller:/path"; ID 0 and no controllers is the unified tree.
Status AddLine(std::string_view line, CgroupMode mode, const std::string& root, Cgroup& cgroup) {
  const size_t first = line.find(':');
  const size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
  if (second == std::string_view::npos) {
    return Error(Code::kInvalidArgument, "parse /proc/PID/cgroup: malformed line");
  }
  std::string_view names = line.substr(first + 1, second - first - 1);
  const std::string_view path = line.substr(second + 1);
  RETURN_IF_ERROR(CheckPath(path));
  if (names.empty()) {
    if (mode != CgroupMode::kV2) return base::OkStatus();
    cgroup.unified_directory = Join(root, path);
    cgroup.path = std::string(path);
    return base::OkStatus();
  }
  if (mode != CgroupMode::kV1 || names.substr(0, 5) == "name=") return base::OkStatus();
  const std::string_view together = names;  // co-mounted controllers share a directory of that name
  while (!names.empty()) {
    const size_t comma = std::min(names.find(','), names.size());
    const std::string_view name = names.substr(0, comma);
    names.remove_prefix(std::min(comma + 1, names.size()));
    std::string mount = fmt::format("{}/{}", root, name);
    if (!IsDirectory(mount)) mount = fmt::format("{}/{}", root, together);
    cgroup.controllers.emplace_back(std::string(name), Join(mount, path));
    if (cgroup.path.empty() || name == "memory") cgroup.path = std::string(path);
  }
  return base::OkStatus();
}

struct Found {
  std::vector<pid_t> pids;
  size_t cgroups = 0;
};

Status Collect(const std::string& directory, size_t depth, Found& found) {
  if (++found.cgroups > kCgroupsMax || depth > kDepthMax) {
    return Error::Make(Code::kResourceExhausted, "list processes of {}: too many cgroups",
                       directory);
  }
  // A threaded cgroup answers EOPNOTSUPP; its processes are listed by the domain above it.
  auto text = base::ReadPseudoFile(directory + "/cgroup.procs", kProcsFileBytesMax);
  if (!text && text.error().code() == Code::kResourceExhausted) return std::move(text).error();
  if (text) {
    std::string_view rest = *text;
    while (!rest.empty()) {
      const auto pid = ParseNumber(TakeLine(rest));
      if (pid && *pid > 0 && *pid <= INT32_MAX) found.pids.push_back(static_cast<pid_t>(*pid));
    }
  }
  if (found.pids.size() > kProcessesMax) {
    return Error::Make(Code::kResourceExhausted, "list processes of {}: too many", directory);
  }
  auto names = base::ListDirectory(directory, kCgroupsMax);
  if (!names) {
    if (names.error().code() == Code::kNotFound) return base::OkStatus();  // gone meanwhile
    return std::move(names).error();
  }
  for (const std::string& name : *names) {
    const std::string child = directory + "/" + name;
    if (IsDirectory(child)) RETURN_IF_ERROR(Collect(child, depth + 1, found));
  }
  return base::OkStatus();
}

}  // namespace

const std::string* Cgroup::DirectoryOf(std::string_view controller) const {
  if (mode == CgroupMode::kV2) return unified_directory.empty() ? nullptr : &unified_directory;
  for (const auto& [name, directory] : controllers) {
    if (name == controller) return &directory;
  }
  return nullptr;
}

bool Cgroup::Exists() const {
  if (mode == CgroupMode::kV2) return IsDirectory(unified_directory);
  return std::any_of(controllers.begin(), controllers.end(),
                     [](const auto& entry) { return IsDirectory(entry.second); });
}

Result<CgroupMode> DetectCgroupMode(const std::string& root) {
  struct statfs info {};
  if (statfs(root.c_str(), &info) != 0) return Error::FromErrno("inspect {}", root);
  return info.f_type == CGROUP2_SUPER_MAGIC ? CgroupMode::kV2 : CgroupMode::kV1;
}

Result<Cgroup> CgroupOf(pid_t pid) {
  ASSIGN_OR_RETURN(const CgroupMode mode, DetectCgroupMode());
  ASSIGN_OR_RETURN(const std::string text,
                   base::ReadPseudoFile(fmt::format("/proc/{}/cgroup", pid), kProcCgroupBytesMax));
  return ParseCgroup(text, mode, kCgroupRoot);
}

Result<Cgroup> ParseCgroup(std::string_view text, CgroupMode mode, const std::string& root) {
  Cgroup cgroup;
  cgroup.mode = mode;
  while (!text.empty()) RETURN_IF_ERROR(AddLine(TakeLine(text), mode, root, cgroup));
  if (cgroup.unified_directory.empty() && cgroup.controllers.empty()) {
    return Error(Code::kInvalidArgument, "parse /proc/PID/cgroup: no usable hierarchy");
  }
  return cgroup;
}

Result<std::vector<pid_t>> ProcessesIn(const Cgroup& cgroup) {
  // Any hierarchy that the runtime puts containers into; "devices" is what containerd's shim takes.
  static constexpr std::array<std::string_view, 5> kPreferred = {"devices", "memory", "pids",
                                                                 "freezer", "cpu"};
  const std::string* directory = nullptr;
  for (const std::string_view name : kPreferred) {
    if (directory == nullptr) directory = cgroup.DirectoryOf(name);
  }
  if (directory == nullptr) return Error(Code::kNotFound, "list processes: no usable controller");
  Found found;
  RETURN_IF_ERROR(Collect(*directory, 0, found));
  std::sort(found.pids.begin(), found.pids.end());
  found.pids.erase(std::unique(found.pids.begin(), found.pids.end()), found.pids.end());
  return std::move(found.pids);
}

Status EnableControllers(const Cgroup& cgroup, const std::string& root) {
  if (cgroup.mode != CgroupMode::kV2) return base::OkStatus();
  ASSIGN_OR_RETURN(const std::string text,
                   base::ReadPseudoFile(root + "/cgroup.controllers", kProcCgroupBytesMax));
  std::string enable;
  std::string_view rest = text;
  for (std::string_view name = TakeWord(rest); !name.empty(); name = TakeWord(rest)) {
    enable += fmt::format("{}+{}", enable.empty() ? "" : " ", name);
  }
  // Each ancestor passes its controllers on to its children; the cgroup itself has processes and
  // must not. One that refuses (it has processes of its own, say) does not keep the others from it.
  Status outcome;
  for (size_t end = 0; end != std::string::npos; end = cgroup.path.find('/', end + 1)) {
    if (end + 1 >= cgroup.path.size()) break;
    const std::string file = root + cgroup.path.substr(0, end) + "/cgroup.subtree_control";
    const base::UniqueFd fd(open(file.c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd.is_open()) {
      outcome = Error::FromErrno("open {}", file);
    } else if (write(fd.get(), enable.data(), enable.size()) < 0) {
      outcome = Error::FromErrno("write \"{}\" to {}", enable, file);
    }
  }
  return outcome;
}

}  // namespace bulwark::shim
