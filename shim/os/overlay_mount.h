// Mounting an overlay whose options exceed the one page that mount(2) takes (the kernel would cut
// them off silently). Forty layers with long paths are enough for that.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/base/result.h"
#include "shim/os/mount_options.h"

namespace bulwark::shim {

struct CompactOverlay {
  // The common parent of all lower directories: the working directory for mount(2).
  std::string directory;
  std::vector<std::string> data;  // the options, with lowerdir= relative to it and last
};

// Shortens lowerdir= by what its directories have in common. nullopt if there are fewer than two,
// or nothing but "/" is common to them. Pure.
std::optional<CompactOverlay> CompactLowerDirectories(const std::vector<std::string>& data);

// Mounts it at `target`: with relative lower directories if they fit, which works with every
// kernel, else layer by layer with fsconfig(2) "lowerdir+" (Linux 6.8). kResourceExhausted if
// neither can.
// Changes the working directory meanwhile: the process must be single-threaded.
base::Status MountLongOverlay(const std::string& source, const std::string& target,
                              const MountOptions& options);

}  // namespace bulwark::shim
