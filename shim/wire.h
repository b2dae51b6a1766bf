// Small conversions between requests, answers and our own values; nothing of containerd's wire form
// is known elsewhere.
#pragma once

#include <stdint.h>

#include <string>

#include "containerd/wire.pb.h"
#include "lib/base/result.h"

namespace bulwark::shim {

// kInternal, as containerd's ttrpc answers a payload that does not decode.
template <typename Message>
base::Result<Message> ParseRequest(const std::string& payload) {
  Message message;
  if (!message.ParseFromString(payload)) {
    return base::Error(base::Code::kInternal, "parse request: malformed payload");
  }
  return message;
}

// An errno is no answer to containerd, which takes codes for its own: kNotFound for a container
// that does not exist, and kPermissionDenied for a denial of ours. The text stays.
inline base::Error WithoutErrnoCode(base::Error error) {
  if (error.os_errno() == 0) return error;
  return base::Error(base::Code::kUnknown, error.message());
}

// The time of an exit. Before the exit it is Go's zero time (1 January of year 1): clients test for
// exactly that, and take an absent timestamp for 1970.
inline void SetTime(int64_t wall_ns, containerd::wire::Timestamp* out) {
  constexpr int64_t kNanosPerSecond = 1'000'000'000;
  constexpr int64_t kGoZeroTimeSeconds = -62'135'596'800;
  if (wall_ns == 0) {
    out->set_seconds(kGoZeroTimeSeconds);
    return;
  }
  out->set_seconds(wall_ns / kNanosPerSecond);
  out->set_nanos(static_cast<int32_t>(wall_ns % kNanosPerSecond));
}

}  // namespace bulwark::shim
