#include "plugin/trust/public_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <array>
#include <utility>

#include "lib/oci/digest.h"

namespace bulwark::trust {
namespace {

using base::Code;
using base::Error;

constexpr size_t kPemBytesMax = 16 * 1024;
constexpr int kRsaBitsMin = 2048;
constexpr int kRsaBitsMax = 16384;

constexpr std::string_view kBegin = "-----BEGIN PUBLIC KEY-----";
constexpr std::string_view kEnd = "-----END PUBLIC KEY-----";

struct FreeNumber {
  void operator()(BIGNUM* number) const { BN_free(number); }
};
struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

base::Result<std::string> NameRsa(EVP_PKEY* key) {
  const int bits = EVP_PKEY_get_bits(key);
  if (bits < kRsaBitsMin || bits > kRsaBitsMax) {
    return Error::Make(Code::kInvalidArgument, "RSA key of {} bits: {} to {} are taken", bits, kRsaBitsMin, kRsaBitsMax);
  }
  BIGNUM* raw = nullptr;
  EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &raw);
  const std::unique_ptr<BIGNUM, FreeNumber> exponent(raw);
  // With exponent 1 every padded message is its own signature (NIST FIPS 186-5, A.1.1, asks for odd and above 2^16).
  if (!exponent || BN_is_odd(exponent.get()) != 1 || BN_num_bits(exponent.get()) <= 16) {
    return Error(Code::kInvalidArgument, "RSA key whose public exponent is even or below 65537");
  }
  return fmt::format("RSA {}", bits);
}

base::Result<std::string> NameCurve(EVP_PKEY* key) {
  std::array<char, 64> group{};
  size_t length = 0;
  std::array<char, 32> encoding{};
  size_t encoding_length = 0;
  // A curve given by its parameters instead of its name is refused: CVE-2020-0601 was one.
  if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_EC_ENCODING, encoding.data(), encoding.size(),
                                     &encoding_length) != 1 ||
      std::string_view(encoding.data(), encoding_length) != OSSL_PKEY_EC_ENCODING_GROUP ||
      EVP_PKEY_get_group_name(key, group.data(), group.size(), &length) != 1) {
    return Error(Code::kInvalidArgument, "EC key without a named curve");
  }
  // The same point can be written compressed or hybrid as well (SEC 1, §2.3.3): the key would have several fingerprints,
  // and be counted as several signers.
  std::array<char, 32> form{};
  size_t form_length = 0;
  if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, form.data(), form.size(),
                                     &form_length) != 1 ||
      std::string_view(form.data(), form_length) != "uncompressed") {
    return Error(Code::kInvalidArgument, "EC key whose point is not written uncompressed");
  }
  const std::string_view name(group.data(), length);
  if (name == "prime256v1") return std::string("ECDSA P-256");
  if (name == "secp384r1") return std::string("ECDSA P-384");
  if (name == "secp521r1") return std::string("ECDSA P-521");
  return Error::Make(Code::kInvalidArgument, "EC key on curve {}: P-256, P-384 and P-521 are taken", name);
}

base::Result<std::string> NameAlgorithm(EVP_PKEY* key) {
  switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_ED25519:
      return std::string("Ed25519");
    case EVP_PKEY_RSA:
      return NameRsa(key);
    case EVP_PKEY_EC:
      return NameCurve(key);
    default:
      return Error(Code::kInvalidArgument, "key is neither ECDSA, RSA nor Ed25519");
  }
}

// The DER inside the one PEM block of a text. Not OpenSSL's reader: that one would also take private keys, ask a
// terminal for passphrases and pass over junk.
base::Result<std::string> DerFromPem(std::string_view pem) {
  const Error malformed(Code::kInvalidArgument, "key file must hold exactly one PEM block \"PUBLIC KEY\"");
  const size_t begin = pem.find("-----BEGIN ");
  if (begin == std::string_view::npos || !pem.substr(begin).starts_with(kBegin)) return malformed;
  const size_t body = begin + kBegin.size();
  const size_t end = pem.find("-----", body);
  if (end == std::string_view::npos || !pem.substr(end).starts_with(kEnd)) return malformed;
  if (pem.find("-----BEGIN ", end) != std::string_view::npos) return malformed;
  std::string base64;
  for (const char c : pem.substr(body, end - body)) {
    if (c != '\n' && c != '\r' && c != ' ' && c != '\t') base64.push_back(c);
  }
  auto der = DecodeBase64Strict(base64);
  if (!der) return std::move(der).error().Wrap("PEM block \"PUBLIC KEY\"");
  return der;
}

std::string EncodeKey(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int length = i2d_PUBKEY(key, &der);
  std::string bytes(reinterpret_cast<const char*>(der), length > 0 ? static_cast<size_t>(length) : 0);
  OPENSSL_free(der);
  return bytes;
}

}  // namespace

base::Result<PublicKey> PublicKey::FromPem(std::string_view pem) {
  if (pem.size() > kPemBytesMax) return Error(Code::kInvalidArgument, "key file is larger than 16 KiB");
  ASSIGN_OR_RETURN(const std::string der, DerFromPem(pem));
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  PublicKey key;
  key.key_.reset(d2i_PUBKEY(nullptr, &at, static_cast<long>(der.size())), EVP_PKEY_free);
  ERR_clear_error();
  if (!key.key_) return Error(Code::kInvalidArgument, "no SubjectPublicKeyInfo (RFC 5280 §4.1) of a known algorithm");
  ASSIGN_OR_RETURN(key.algorithm_, NameAlgorithm(key.key_.get()));
  // One key, one encoding: anything after the key, or another way to write it, would give it a second fingerprint.
  if (EncodeKey(key.key_.get()) != der) return Error(Code::kInvalidArgument, "public key is not in its canonical DER form");
  key.fingerprint_ = oci::Sha256Digest(der);
  return key;
}

bool PublicKey::Verifies(std::string_view message, std::string_view signature) const {
  const std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
  const EVP_MD* hash = EVP_PKEY_get_base_id(key_.get()) == EVP_PKEY_ED25519 ? nullptr : EVP_sha256();
  const bool verified =
      context && EVP_DigestVerifyInit(context.get(), nullptr, hash, nullptr, key_.get()) == 1 &&
      EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()), signature.size(),
                       reinterpret_cast<const unsigned char*>(message.data()), message.size()) == 1;
  ERR_clear_error();
  return verified;
}

base::Result<std::string> DecodeBase64Strict(std::string_view text) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const Error malformed(Code::kInvalidArgument, "not standard base64");
  if (text.empty() || text.size() % 4 != 0) return malformed;
  const size_t padding = text.ends_with("==") ? 2 : (text.ends_with("=") ? 1 : 0);
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  uint32_t group = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool is_padding = i >= text.size() - padding;
    const size_t value = is_padding ? 0 : kAlphabet.find(text[i]);
    if (value == std::string_view::npos) return malformed;
    group = (group << 6) | static_cast<uint32_t>(value);
    if (i % 4 != 3) continue;
    for (const int shift : {16, 8, 0}) bytes.push_back(static_cast<char>((group >> shift) & 0xff));
    group = 0;
  }
  // Bits that padding leaves over must be zero, or two texts would mean the same bytes.
  for (size_t i = 0; i < padding; ++i) {
    if (bytes.back() != 0) return malformed;
    bytes.pop_back();
  }
  return bytes;
}

}  // namespace bulwark::trust
