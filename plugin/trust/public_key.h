// Public keys that may sign images, and the one operation they are for. Wraps OpenSSL 3 (EVP_PKEY(3),
// EVP_DigestVerify(3)). Pure; a key may be used by several threads at once.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "lib/base/result.h"

typedef struct evp_pkey_st EVP_PKEY;

namespace bulwark::trust {

class PublicKey {
 public:
  // Takes exactly one PEM block "PUBLIC KEY" (RFC 7468 §13): ECDSA on P-256, P-384 or P-521 (named curves, points
  // uncompressed), RSA of 2048 to 16384 bits with an exponent from 65537, or Ed25519; in canonical DER, nothing after
  // it. Text around the block is passed over, a second block of any kind is not. kInvalidArgument, saying what was
  // found instead, for everything else: certificates too, because what their validity dates should mean for a bare key
  // would be a guess.
  static base::Result<PublicKey> FromPem(std::string_view pem);

  // Whether `signature` is this key's over `message`, as cosign's classic scheme signs: SHA-256 with ECDSA (DER) and
  // RSA PKCS #1 v1.5, pure Ed25519. The algorithm comes from the key, never from the signed object.
  bool Verifies(std::string_view message, std::string_view signature) const;

  // "sha256:<hex>" of the SubjectPublicKeyInfo: the identity of the key, whatever file it came in.
  const std::string& fingerprint() const { return fingerprint_; }
  // "ECDSA P-256", "RSA 3072", "Ed25519"
  const std::string& algorithm() const { return algorithm_; }

 private:
  PublicKey() = default;

  std::shared_ptr<EVP_PKEY> key_;
  std::string fingerprint_;
  std::string algorithm_;
};

// Standard base64 (RFC 4648 §4) with padding and nothing else: no line breaks, no other alphabet.
base::Result<std::string> DecodeBase64Strict(std::string_view text);

}  // namespace bulwark::trust
