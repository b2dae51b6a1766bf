// The options of a mount as containerd writes them ("ro", "rbind", "lowerdir=/a:/b"), sorted into
// the flags and the data of mount(2). Pure.
#pragma once

#include <stddef.h>

#include <string>
#include <vector>

#include "lib/base/result.h"

namespace bulwark::shim {

struct MountOptions {
  unsigned long flags = 0;         // MS_*
  std::vector<std::string> data;   // everything the filesystem itself has to understand, in order

  std::string JoinedData() const;  // comma-separated, as mount(2) takes it
};

// Later words override earlier ones ("ro", "rw"). "defaults" means nothing. kInvalidArgument: an
// empty option, a zero byte, or an X-containerd.* option, which containerd's mount manager should
// have consumed; kUnimplemented: loop, direct-io, uidmap=, gidmap=; kResourceExhausted: more than
// 4096 options.
base::Result<MountOptions> ParseMountOptions(const std::vector<std::string>& options);

}  // namespace bulwark::shim
