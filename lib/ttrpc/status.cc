#include "lib/ttrpc/status.h"

#include <stdint.h>

#include <algorithm>
#include <string>
#include <string_view>

namespace bulwark::ttrpc {
namespace {

// Length of the well-formed UTF-8 sequence at the front of `text` (RFC 3629, section 4), 0 if there
// is none.
size_t SequenceLength(std::string_view text) {
  const auto byte = [&](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const auto continues = [&](size_t i) { return (byte(i) & 0xc0U) == 0x80U; };
  const unsigned first = byte(0);
  const unsigned second = byte(1);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return continues(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f)) return 0;
    return continues(1) && continues(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    if ((first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) return 0;
    return continues(1) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

std::string ValidUtf8(std::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  while (!text.empty()) {
    const size_t length = SequenceLength(text);
    if (length == 0) {
      valid.push_back('?');
    } else {
      valid.append(text.substr(0, length));
    }
    text.remove_prefix(std::max(length, size_t{1}));
  }
  return valid;
}

}  // namespace

containerd::ttrpc::Status StatusFromError(const base::Error& error) {
  containerd::ttrpc::Status status;
  status.set_code(static_cast<int32_t>(error.code()));
  status.set_message(
      ValidUtf8(std::string_view(error.message()).substr(0, kStatusMessageBytesMax)));
  return status;
}

bool IsOk(const containerd::ttrpc::Status& status) { return status.code() == 0; }

base::Error ErrorFromStatus(const containerd::ttrpc::Status& status) {
  const bool is_known = status.code() >= static_cast<int32_t>(base::Code::kCancelled) &&
                        status.code() <= static_cast<int32_t>(base::Code::kUnauthenticated);
  return base::Error(is_known ? static_cast<base::Code>(status.code()) : base::Code::kUnknown,
                     status.message());
}

}  // namespace bulwark::ttrpc
