// CRC-32C (Castagnoli; RFC 3720 appendix B.4), by the CPU's instruction where there is one. Guards
// against torn and decayed bytes; against people there is the hash chain.
#pragma once

#include <stdint.h>

#include <string_view>

namespace bulwark::audit {

uint32_t Crc32c(std::string_view bytes);
// The table-driven version that Crc32c() falls back to; here so that tests can compare the two.
uint32_t Crc32cPortable(std::string_view bytes);

}  // namespace bulwark::audit
