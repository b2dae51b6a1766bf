// The stdin, stdout and stderr fields of Create and Exec, parsed (containerd cio/io.go has the
// forms that clients send). Pure.
#pragma once

#include <stddef.h>

#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"

namespace bulwark::shim {

enum class StdioKind {
  kNone,    // empty
  kPath,    // a path or fifo://: the client's fifo, or an existing file
  kFile,    // file://: created if missing, appended to
  kLogger,  // binary:// or binary-v2://: a program that reads the output
};

struct StdioUri {
  StdioKind kind = StdioKind::kNone;
  std::string path;  // absolute, decoded
  // kLogger: each key of the query once, followed by its first value.
  std::vector<std::string> logger_arguments;
  bool logger_must_report = false;  // binary-v2: closing descriptor 5 without a byte is a failure
};

inline constexpr size_t kStdioUriBytesMax = 32 * 1024;

// kInvalidArgument: longer than kStdioUriBytesMax, unknown scheme, a host, a relative path, bad
// percent-encoding, a zero byte, a query or fragment where none belongs.
base::Result<StdioUri> ParseStdioUri(std::string_view text);

}  // namespace bulwark::shim
