// SHA-256 (FIPS 180-4), for names derived from text, such as containerd's shim socket paths. Not
// for verifying evidence: the daemon uses OpenSSL for that; the shim links no crypto library.
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
