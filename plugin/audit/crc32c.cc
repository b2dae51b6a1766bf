#include "plugin/audit/crc32c.h"

#include <stddef.h>
#include <string.h>

#include <array>

namespace bulwark::audit {
namespace {

constexpr std::array<uint32_t, 256> MakeTable() {
  std::array<uint32_t, 256> table = {};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) {
      value = (value >> 1) ^ ((value & 1) != 0 ? 0x82f63b78u : 0u);
    }
    table[i] = value;
  }
  return table;
}

constexpr std::array<uint32_t, 256> kTable = MakeTable();

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t Crc32cSse42(std::string_view bytes) {
  const char* data = bytes.data();
  size_t left = bytes.size();
  uint64_t crc = 0xffffffffu;
  for (; left >= 8; left -= 8, data += 8) {
    uint64_t word;
    memcpy(&word, data, sizeof(word));
    crc = __builtin_ia32_crc32di(crc, word);
  }
  uint32_t tail = static_cast<uint32_t>(crc);
  for (; left > 0; --left, ++data) {
    tail = __builtin_ia32_crc32qi(tail, static_cast<unsigned char>(*data));
  }
  return ~tail;
}
#endif

}  // namespace

uint32_t Crc32cPortable(std::string_view bytes) {
  uint32_t crc = 0xffffffffu;
  for (const char c : bytes) {
    crc = (crc >> 8) ^ kTable[(crc ^ static_cast<unsigned char>(c)) & 0xff];
  }
  return ~crc;
}

uint32_t Crc32c(std::string_view bytes) {
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2");
  if (has_instruction) return Crc32cSse42(bytes);
#endif
  return Crc32cPortable(bytes);
}

}  // namespace bulwark::audit
