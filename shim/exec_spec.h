// The process spec of an Exec request (OCI runtime-spec "process", JSON), as far as the shim
// touches it.
#pragma once

#include <stddef.h>

#include <string>
#include <string_view>

#include "lib/base/result.h"

namespace bulwark::shim {

inline constexpr size_t kProcessSpecBytesMax = size_t{3} << 20;

// The document with "terminal" set to what the request says: the request decides where the stdio
// goes, and the runtime goes by the document. The very bytes are kept when they agree already.
// Pure. kInvalidArgument: not a JSON object, or "terminal" occurs twice or in another case (Go's
// decoder would take either); kResourceExhausted: larger than kProcessSpecBytesMax.
base::Result<std::string> WithTerminal(std::string_view process_json, bool terminal);

}  // namespace bulwark::shim
