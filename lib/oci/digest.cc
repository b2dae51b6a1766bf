#include "lib/oci/digest.h"

#include <algorithm>

#include "lib/base/sha256.h"

namespace bulwark::oci {

using base::Code;
using base::Error;

namespace {

bool IsLowerHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace

bool IsDigest(std::string_view text) {
  const std::string_view algorithm = DigestAlgorithm(text);
  const std::string_view hex = DigestHex(text);
  if (algorithm == "sha256") return hex.size() == 64 && IsLowerHex(hex);
  if (algorithm == "sha512") return hex.size() == 128 && IsLowerHex(hex);
  return false;
}

base::Status CheckDigest(std::string_view text) {
  if (IsDigest(text)) return base::OkStatus();
  return Error::Make(Code::kInvalidArgument, "malformed digest \"{}\"", text.substr(0, 80));
}

std::string_view DigestAlgorithm(std::string_view digest) {
  return digest.substr(0, digest.find(':'));
}

std::string_view DigestHex(std::string_view digest) {
  const size_t colon = digest.find(':');
  return colon == std::string_view::npos ? std::string_view() : digest.substr(colon + 1);
}

std::string Sha256Digest(std::string_view bytes) { return "sha256:" + base::Sha256Hex(bytes); }

base::Status VerifyDigest(std::string_view bytes, std::string_view digest) {
  RETURN_IF_ERROR(CheckDigest(digest));
  if (DigestAlgorithm(digest) != "sha256") {
    return Error::Make(Code::kUnimplemented, "content of digest {}: algorithm is not computed here",
                       digest);
  }
  const std::string actual = Sha256Digest(bytes);
  if (actual == digest) return base::OkStatus();
  return Error::Make(Code::kDataLoss, "content of digest {}: really is {}", digest, actual);
}

base::Result<std::string> ChainId(const std::vector<std::string>& diff_ids) {
  if (diff_ids.empty()) return Error(Code::kInvalidArgument, "chain ID of no layers");
  std::string chain;
  for (const std::string& diff_id : diff_ids) {
    RETURN_IF_ERROR(CheckDigest(diff_id));
    if (DigestAlgorithm(diff_id) != "sha256") {
      return Error::Make(Code::kInvalidArgument, "chain ID over {}: not sha256", diff_id);
    }
    chain = chain.empty() ? diff_id : Sha256Digest(chain + " " + diff_id);
  }
  return chain;
}

}  // namespace bulwark::oci
