// The stdin, stdout and stderr fields of Create and Exec: whatever is accepted is an absolute path
// without zero bytes.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <string_view>

#include "shim/os/stdio_uri.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto uri = bulwark::shim::ParseStdioUri(text);
  if (!uri || uri->kind == bulwark::shim::StdioKind::kNone) return 0;
  if (uri->path.empty() || uri->path.front() != '/') abort();
  if (uri->path.find('\0') != std::string::npos) abort();
  if (uri->logger_arguments.size() % 2 != 0) abort();
  return 0;
}
