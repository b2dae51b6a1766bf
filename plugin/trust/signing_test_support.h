// For tests: keys and signatures made at run time, so that no private key lies in the tree.
#pragma once

#include <fmt/ranges.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>

#include "lib/base/check.h"
#include "lib/oci/digest.h"
#include "lib/oci/image_identity.h"
#include "plugin/trust/requirement.h"
#include "plugin/trust/verification.h"

namespace bulwark::trust {

inline std::string EncodeBase64(std::string_view bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3), '\0');
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), reinterpret_cast<const unsigned char*>(bytes.data()),
                  static_cast<int>(bytes.size()));
  return text;
}

inline std::string PemOf(std::string_view der) {
  std::string pem = "-----BEGIN PUBLIC KEY-----\n";
  const std::string base64 = EncodeBase64(der);
  for (size_t at = 0; at < base64.size(); at += 64) pem += base64.substr(at, 64) + "\n";
  return pem + "-----END PUBLIC KEY-----\n";
}

class TestKey {
 public:
  static TestKey Ecdsa(const char* curve) { return TestKey(EVP_EC_gen(curve)); }
  static TestKey Rsa(unsigned bits) { return TestKey(EVP_RSA_gen(bits)); }
  static TestKey Ed25519() { return TestKey(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")); }

  explicit TestKey(EVP_PKEY* key) : key_(key, EVP_PKEY_free) { BULWARK_CHECK(key != nullptr); }

  EVP_PKEY* get() const { return key_.get(); }

  std::string Der() const {
    unsigned char* der = nullptr;
    const int length = i2d_PUBKEY(key_.get(), &der);
    BULWARK_CHECK(length > 0);
    std::string bytes(reinterpret_cast<const char*>(der), static_cast<size_t>(length));
    OPENSSL_free(der);
    return bytes;
  }

  std::string Pem() const { return PemOf(Der()); }

  // As cosign signs: SHA-256 whatever the curve, PKCS #1 v1.5, pure Ed25519.
  std::string Sign(std::string_view message) const {
    const EVP_MD* hash = EVP_PKEY_get_base_id(key_.get()) == EVP_PKEY_ED25519 ? nullptr : EVP_sha256();
    return SignWith(hash, message);
  }

  std::string SignWith(const EVP_MD* hash, std::string_view message) const {
    const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    const auto* bytes = reinterpret_cast<const unsigned char*>(message.data());
    size_t length = 0;
    BULWARK_CHECK(EVP_DigestSignInit(context.get(), nullptr, hash, nullptr, key_.get()) == 1);
    BULWARK_CHECK(EVP_DigestSign(context.get(), nullptr, &length, bytes, message.size()) == 1);
    std::string signature(length, '\0');
    BULWARK_CHECK(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &length, bytes,
                                 message.size()) == 1);
    signature.resize(length);
    return signature;
  }

 private:
  std::shared_ptr<EVP_PKEY> key_;
};

inline std::string TestDigest(char digit) { return "sha256:" + std::string(64, digit); }

inline oci::ImageIdentity TestImage() {
  oci::ImageIdentity image;
  image.reference = "registry.corp/prod/app:1";
  image.index_digest = TestDigest('d');
  image.manifest_digest = TestDigest('a');
  image.config_digest = TestDigest('c');
  return image;
}

// What `cosign sign` would have signed.
inline std::string TestPayload(std::string_view digest, std::string_view reference = "registry.corp/prod/app",
                               std::string_view optional = "null",
                               std::string_view type = "cosign container image signature") {
  return fmt::format(
      R"({{"critical":{{"identity":{{"docker-reference":"{}"}},"image":{{"docker-manifest-digest":"{}"}},"type":"{}"}},)"
      R"("optional":{}}})",
      reference, digest, type, optional);
}

inline SignatureCandidate TestCandidate(const TestKey& key, const std::string& payload, std::string source = "layout") {
  return {std::move(source), payload, oci::Sha256Digest(payload), EncodeBase64(key.Sign(payload))};
}

}  // namespace bulwark::trust
