// SHA-256 (FIPS 180-4): content digests, and names derived from text such as containerd's shim socket paths. Here because the
// shim links no crypto library. Not constant-time: nothing secret is hashed with it.
#pragma once

#include <stdint.h>

#include <array>
#include <string>
#include <string_view>

namespace bulwark::base {

std::array<uint8_t, 32> Sha256(std::string_view bytes);

// The digest as 64 lower-case hexadecimal digits.
std::string Sha256Hex(std::string_view bytes);

}  // namespace bulwark::base
