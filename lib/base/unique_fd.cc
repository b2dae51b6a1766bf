#include "lib/base/unique_fd.h"

#include <errno.h>
#include <unistd.h>

namespace bulwark::base {

void UniqueFd::Reset(int fd) {
  const int old = std::exchange(fd_, fd);
  if (old < 0) return;
  const int saved = errno;
  close(old);
  errno = saved;
}

}  // namespace bulwark::base
