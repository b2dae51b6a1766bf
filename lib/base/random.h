// Random bytes from the kernel's generator (getrandom(2)). Blocks only before the kernel has seeded
// it at boot. Thread-safe.
#pragma once

#include <stddef.h>

#include <string>

namespace bulwark::base {

// `count` bytes, fit for keys and nonces. Aborts if the kernel has no generator.
std::string RandomBytes(size_t count);

// An unguessable identifier of 2 * `bytes` lower-case hexadecimal digits.
std::string RandomHexId(size_t bytes = 16);

}  // namespace bulwark::base
