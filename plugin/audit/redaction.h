// Takes secrets out of exec arguments before they are recorded: an audit trail that holds passwords
// is itself a leak. It knows the usual shapes, not every one; what it is not sure about, it masks.
// Pure.
#pragma once

#include <stddef.h>

#include <string>
#include <vector>

namespace bulwark::audit {

inline constexpr size_t kArgvBytesMax = 8 * 1024;
inline constexpr size_t kArgvCountMax = 256;

// Masks, word by word (also inside one argument such as a `sh -c` script), with "***":
//   --password=x, --token x, -px                  options and variables whose name says secret
//   PGPASSWORD=x, API_TOKEN=x, password: x
//   https://user:x@host                           the password of a URL
//   Authorization: Bearer x
//   AKIA…, ghp_…, eyJ…                            known token prefixes, long random-looking words
// and bounds the result: at most kArgvCountMax arguments and kArgvBytesMax bytes; what is cut is
// shown as "…(+N)".
std::vector<std::string> RedactArgv(const std::vector<std::string>& argv);

}  // namespace bulwark::audit
