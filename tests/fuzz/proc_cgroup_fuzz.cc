// /proc/PID/cgroup and mount options, the texts that decide which directories are read and what is
// mounted.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <string>
#include <vector>

#include "shim/os/cgroup_path.h"
#include "shim/os/flat_file.h"
#include "shim/os/mount_options.h"
#include "shim/os/overlay_mount.h"

namespace shim = bulwark::shim;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const auto mode : {shim::CgroupMode::kV1, shim::CgroupMode::kV2}) {
    const auto cgroup = shim::ParseCgroup(text, mode, "/nowhere");
    if (cgroup && (cgroup->path + "/").find("/../") != std::string::npos) abort();
  }
  std::vector<std::string> words;
  std::string_view rest = text;
  while (!rest.empty()) words.emplace_back(shim::TakeLine(rest));
  if (const auto options = shim::ParseMountOptions(words); options) {
    const auto compact = shim::CompactLowerDirectories(options->data);
    if (compact && (compact->directory.empty() || compact->directory.front() != '/')) abort();
  }
  shim::ForEachPair(text, [](std::string_view key, uint64_t) {
    if (key.empty()) abort();
  });
  return 0;
}
