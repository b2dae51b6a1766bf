// Bytes as hexadecimal digits.
#pragma once

#include <string>
#include <string_view>

#include "lib/base/result.h"

namespace bulwark::base {

// Two lower-case digits a byte.
std::string HexEncode(std::string_view bytes);

// Accepts digits of both cases. kInvalidArgument for an odd number of digits or for anything that
// is not a digit.
Result<std::string> HexDecode(std::string_view digits);

}  // namespace bulwark::base
