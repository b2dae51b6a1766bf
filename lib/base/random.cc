#include "lib/base/random.h"

#include <errno.h>
#include <sys/random.h>

#include "lib/base/check.h"
#include "lib/base/hex.h"

namespace bulwark::base {

std::string RandomBytes(size_t count) {
  std::string bytes(count, '\0');
  size_t filled = 0;
  while (filled < count) {
    const ssize_t got = getrandom(bytes.data() + filled, count - filled, 0);
    BULWARK_CHECK(got > 0 || errno == EINTR);
    if (got > 0) filled += static_cast<size_t>(got);
  }
  return bytes;
}

std::string RandomHexId(size_t bytes) { return HexEncode(RandomBytes(bytes)); }

}  // namespace bulwark::base
