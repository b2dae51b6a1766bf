// base::Error to and from the status of a ttrpc response (google.rpc.Status). The only place where
// the two meet.
#pragma once

#include "containerd/ttrpc.pb.h"
#include "lib/base/result.h"

namespace bulwark::ttrpc {

inline constexpr size_t kStatusMessageBytesMax = 16 * 1024;

// The message is cut at kStatusMessageBytesMax, and bytes that are not UTF-8 become '?': protobuf
// decoders refuse a response whose strings are not UTF-8, and an error message may quote anything.
containerd::ttrpc::Status StatusFromError(const base::Error& error);

// Whether a response with this status is a success: code 0, which is also what an absent status
// reads as.
bool IsOk(const containerd::ttrpc::Status& status);

// Never OK: a code outside 1..16 becomes kUnknown.
base::Error ErrorFromStatus(const containerd::ttrpc::Status& status);

}  // namespace bulwark::ttrpc
