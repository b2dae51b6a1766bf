#include "shim/command/shim_cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include <utility>

#include "lib/base/file_io.h"
#include "lib/base/unique_fd.h"

namespace bulwark::shim {
namespace {

using base::Code;
using base::Error;

constexpr size_t kMountInfoBytesMax = 16 * 1024 * 1024;

bool HasParentStep(std::string_view path) {
  while (!path.empty()) {
    const size_t slash = path.find('/');
    if (path.substr(0, slash) == "..") return true;
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  }
  return false;
}

base::Status AddProcess(const std::string& directory, pid_t pid) {
  const std::string procs = directory + "/cgroup.procs";
  const base::UniqueFd file(open(procs.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.is_open()) return Error::FromErrno("open {}", procs);
  auto written = base::WriteAll(file.get(), std::to_string(pid));
  if (!written) return std::move(written).error().Wrap("add the shim to {}", procs);
  return base::OkStatus();
}

// The n-th field of a line, fields being separated by single spaces.
std::string_view Field(std::string_view line, size_t n) {
  for (; n > 0; --n) {
    const size_t space = line.find(' ');
    if (space == std::string_view::npos) return {};
    line.remove_prefix(space + 1);
  }
  return line.substr(0, line.find(' '));
}

}  // namespace

std::vector<std::string> CgroupV1MountPoints(std::string_view mountinfo) {
  std::vector<std::string> points;
  while (!mountinfo.empty()) {
    const size_t newline = mountinfo.find('\n');
    const std::string_view line = mountinfo.substr(0, newline);
    mountinfo =
        newline == std::string_view::npos ? std::string_view() : mountinfo.substr(newline + 1);
    // "36 35 98:0 /root /mount/point options tags… - type source super-options", proc(5).
    const size_t dash = line.find(" - ");
    if (dash == std::string_view::npos || Field(line.substr(dash + 3), 0) != "cgroup") continue;
    points.emplace_back(Field(line, 4));
  }
  return points;
}

base::Status JoinShimCgroup(pid_t pid, std::string_view path, const std::string& root) {
  if (path.empty() || HasParentStep(path)) {
    return Error::Make(Code::kInvalidArgument, "shim cgroup {}: not a path below the root", path);
  }
  const std::string below = (path.front() == '/' ? "" : "/") + std::string(path);
  struct statfs info {};
  if (statfs(root.c_str(), &info) != 0) return Error::FromErrno("statfs {}", root);
  if (info.f_type == CGROUP2_SUPER_MAGIC) return AddProcess(root + below, pid);

  ASSIGN_OR_RETURN(const std::string mounts,
                   base::ReadPseudoFile("/proc/self/mountinfo", kMountInfoBytesMax));
  size_t joined = 0;
  for (const std::string& point : CgroupV1MountPoints(mounts)) {
    if (!base::PathExists(point + below)) continue;
    RETURN_IF_ERROR(AddProcess(point + below, pid));
    ++joined;
  }
  if (joined == 0) return Error::Make(Code::kNotFound, "shim cgroup {}: no hierarchy has it", path);
  return base::OkStatus();
}

}  // namespace bulwark::shim
