// Content digests as OCI writes them (image-spec, descriptor.md, "Digests"): "sha256:" and 64, or "sha512:" and 128,
// lower-case hexadecimal digits. Everything else is refused, upper case included, so that equal digests are equal
// strings and a digest is safe as a file name below its algorithm. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"

namespace bulwark::oci {

bool IsDigest(std::string_view text);
// kInvalidArgument, quoting at most 80 bytes of `text`, unless IsDigest(text).
base::Status CheckDigest(std::string_view text);

// "sha256" or "sha512", and the digits. Precondition: IsDigest(digest).
std::string_view DigestAlgorithm(std::string_view digest);
std::string_view DigestHex(std::string_view digest);

// "sha256:<hex>" of the bytes.
std::string Sha256Digest(std::string_view bytes);

// OK if `bytes` hash to `digest`; kDataLoss if they do not, kInvalidArgument if it is no digest, kUnimplemented for
// sha512, which may be named but is not computed here.
base::Status VerifyDigest(std::string_view bytes, std::string_view digest);

// The chain ID of layers by their uncompressed digests, bottom first (image-spec, config.md, "Layer ChainID").
// kInvalidArgument if the list is empty or an entry is not a sha256 digest.
base::Result<std::string> ChainId(const std::vector<std::string>& diff_ids);

}  // namespace bulwark::oci
