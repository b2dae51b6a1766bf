#include "plugin/profiles/host_view.h"

#include <sys/stat.h>

#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "plugin/profiles/spec_limits.h"

namespace bulwark::profiles {
namespace {

// The spec's word and the file in /proc/PID/ns.
constexpr std::pair<std::string_view, std::string_view> kNamespaceFiles[] = {
    {"pid", "pid"}, {"network", "net"}, {"ipc", "ipc"},       {"uts", "uts"},
    {"mount", "mnt"}, {"user", "user"}, {"cgroup", "cgroup"}, {"time", "time"}};

bool IsNamespace(const std::string& path, const struct stat& asked) {
  struct stat info = {};
  return stat(path.c_str(), &info) == 0 && info.st_dev == asked.st_dev && info.st_ino == asked.st_ino;
}

}  // namespace

bool IsHostNamespace(const std::string& type, const std::string& path) {
  for (const auto& [word, file] : kNamespaceFiles) {
    if (type != word) continue;
    struct stat asked = {};
    if (stat(path.c_str(), &asked) != 0) return true;
    // The daemon is in the host's namespaces too, unless somebody gave its service some of its own; and process 1 may be
    // out of reach where the node itself is a container.
    const bool is_inits = IsNamespace("/proc/1/ns/" + std::string(file), asked);
    return is_inits || IsNamespace("/proc/self/ns/" + std::string(file), asked);
  }
  return true;
}

std::string ResolvePath(const std::string& path) {
  std::error_code error;
  const std::filesystem::path resolved = std::filesystem::weakly_canonical(path, error);
  return CleanAbsolute(error ? path : resolved.string());
}

HostView RealHost() { return {IsHostNamespace, ResolvePath}; }

}  // namespace bulwark::profiles
