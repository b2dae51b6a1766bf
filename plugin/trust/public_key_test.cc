#include "plugin/trust/public_key.h"

#include <gtest/gtest.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/pem.h>

#include "plugin/trust/signing_test_support.h"

namespace bulwark::trust {
namespace {

constexpr std::string_view kMessage = "what was signed";

void ExpectRefused(const std::string& pem, std::string_view because) {
  const auto key = PublicKey::FromPem(pem);
  ASSERT_FALSE(key) << pem;
  EXPECT_EQ(key.error().code(), base::Code::kInvalidArgument);
  EXPECT_NE(key.error().message().find(because), std::string::npos) << key.error().message();
}

void ExpectRoundTrip(const TestKey& test_key, std::string_view algorithm) {
  const auto key = PublicKey::FromPem(test_key.Pem());
  ASSERT_TRUE(key) << key.error().message();
  EXPECT_EQ(key->algorithm(), algorithm);
  EXPECT_EQ(key->fingerprint(), oci::Sha256Digest(test_key.Der()));
  std::string signature = test_key.Sign(kMessage);
  EXPECT_TRUE(key->Verifies(kMessage, signature));
  EXPECT_FALSE(key->Verifies("something else", signature));
  EXPECT_FALSE(key->Verifies(kMessage, ""));
  EXPECT_FALSE(key->Verifies(kMessage, signature + '\0')) << "bytes after the signature";
  signature[signature.size() / 2] = static_cast<char>(signature[signature.size() / 2] ^ 1);
  EXPECT_FALSE(key->Verifies(kMessage, signature));
}

std::string PrivatePem(EVP_PKEY* key) {
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  char* data = nullptr;
  const long length = BIO_get_mem_data(bio, &data);
  std::string pem(data, static_cast<size_t>(length));
  BIO_free(bio);
  return pem;
}

TEST(PublicKeyTest, EveryAlgorithmCosignUsesVerifiesAndOnlyTheRightMessage) {
  ExpectRoundTrip(TestKey::Ecdsa("P-256"), "ECDSA P-256");
  ExpectRoundTrip(TestKey::Ecdsa("P-384"), "ECDSA P-384");
  ExpectRoundTrip(TestKey::Ecdsa("P-521"), "ECDSA P-521");
  ExpectRoundTrip(TestKey::Rsa(2048), "RSA 2048");
  ExpectRoundTrip(TestKey::Ed25519(), "Ed25519");
}

TEST(PublicKeyTest, AnotherKeyOfTheSameKindDoesNotVerify) {
  const TestKey signer = TestKey::Ecdsa("P-256");
  const auto other = PublicKey::FromPem(TestKey::Ecdsa("P-256").Pem());
  ASSERT_TRUE(other);
  EXPECT_FALSE(other->Verifies(kMessage, signer.Sign(kMessage)));
}

TEST(PublicKeyTest, TheHashIsSha256WhateverTheCurve) {
  const TestKey signer = TestKey::Ecdsa("P-384");
  const auto key = PublicKey::FromPem(signer.Pem());
  ASSERT_TRUE(key);
  EXPECT_FALSE(key->Verifies(kMessage, signer.SignWith(EVP_sha384(), kMessage)));
}

TEST(PublicKeyTest, CurvesThatAreNotNistsAreRefused) {
  ExpectRefused(TestKey::Ecdsa("secp256k1").Pem(), "secp256k1");
  ExpectRefused(TestKey::Ecdsa("brainpoolP256r1").Pem(), "brainpoolP256r1");
  ExpectRefused(TestKey::Ecdsa("P-224").Pem(), "secp224r1");
}

TEST(PublicKeyTest, CurveGivenByParametersIsRefused) {
  const TestKey key = TestKey::Ecdsa("P-256");
  ASSERT_EQ(EVP_PKEY_set_utf8_string_param(key.get(), OSSL_PKEY_PARAM_EC_ENCODING, OSSL_PKEY_EC_ENCODING_EXPLICIT), 1);
  ExpectRefused(key.Pem(), "named curve");
}

TEST(PublicKeyTest, PointInAnotherFormIsRefusedForTheKeyWouldHaveTwoFingerprints) {
  for (const char* form : {OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_COMPRESSED, OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_HYBRID}) {
    const TestKey key = TestKey::Ecdsa("P-256");
    const std::string usual = key.Pem();
    ASSERT_EQ(EVP_PKEY_set_utf8_string_param(key.get(), OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, form), 1);
    ASSERT_NE(key.Pem(), usual);
    EXPECT_TRUE(PublicKey::FromPem(usual));
    ExpectRefused(key.Pem(), "uncompressed");
  }
}

TEST(PublicKeyTest, WeakRsaKeysAreRefused) {
  ExpectRefused(TestKey::Rsa(1024).Pem(), "1024 bits");
  EVP_PKEY_CTX* context = EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr);
  BIGNUM* three = BN_new();
  BN_set_word(three, 3);
  EVP_PKEY* key = nullptr;
  ASSERT_EQ(EVP_PKEY_keygen_init(context), 1);
  ASSERT_EQ(EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048), 1);
  ASSERT_EQ(EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context, three), 1);
  ASSERT_EQ(EVP_PKEY_generate(context, &key), 1);
  BN_free(three);
  EVP_PKEY_CTX_free(context);
  ExpectRefused(TestKey(key).Pem(), "exponent");
}

TEST(PublicKeyTest, OtherKindsOfKeysAreRefused) {
  ExpectRefused(TestKey(EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519")).Pem(), "neither");
  ExpectRefused(TestKey(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED448")).Pem(), "neither");
  EVP_PKEY_CTX* context = EVP_PKEY_CTX_new_from_name(nullptr, "RSA-PSS", nullptr);
  EVP_PKEY* key = nullptr;
  ASSERT_EQ(EVP_PKEY_keygen_init(context), 1);
  ASSERT_EQ(EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048), 1);
  ASSERT_EQ(EVP_PKEY_generate(context, &key), 1);
  EVP_PKEY_CTX_free(context);
  ExpectRefused(TestKey(key).Pem(), "neither");
}

TEST(PublicKeyTest, AnythingButOnePublicKeyBlockIsRefused) {
  const TestKey key = TestKey::Ecdsa("P-256");
  const std::string pem = key.Pem();
  EXPECT_TRUE(PublicKey::FromPem("signing key of the build system\n" + pem + "\n"));
  ExpectRefused("", "exactly one");
  ExpectRefused("no key", "exactly one");
  ExpectRefused(pem + pem, "exactly one");
  ExpectRefused(PrivatePem(key.get()), "exactly one");
  ExpectRefused(pem + PrivatePem(key.get()), "exactly one");
  ExpectRefused(pem.substr(0, pem.size() - 10), "exactly one");
  ExpectRefused("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "exactly one");
  ExpectRefused("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n", "base64");
  ExpectRefused("-----BEGIN PUBLIC KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END PUBLIC KEY-----\n", "base64");
  ExpectRefused("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "SubjectPublicKeyInfo");
  ExpectRefused(std::string(20'000, 'a') + pem, "larger");
}

TEST(PublicKeyTest, AKeyHasOneEncodingOnly) {
  const std::string der = TestKey::Ecdsa("P-256").Der();
  ExpectRefused(PemOf(der + '\0'), "canonical");
  // The same key with the outer length in long form: BER, not DER.
  std::string ber = der;
  ASSERT_EQ(ber[0], 0x30);
  ber.insert(1, 1, static_cast<char>(0x81));
  ExpectRefused(PemOf(ber), "canonical");
}

class EcdsaMalleability : public ::testing::Test {
 protected:
  void SetUp() override {
    signer_ = std::make_unique<TestKey>(TestKey::Ecdsa("P-256"));
    auto key = PublicKey::FromPem(signer_->Pem());
    ASSERT_TRUE(key);
    key_ = std::make_unique<PublicKey>(std::move(key).value());
    signature_ = signer_->Sign(kMessage);
    ASSERT_TRUE(key_->Verifies(kMessage, signature_));
  }
  std::unique_ptr<TestKey> signer_;
  std::unique_ptr<PublicKey> key_;
  std::string signature_;
};

TEST_F(EcdsaMalleability, LongFormLengthIsRefused) {
  std::string ber = signature_;
  ber.insert(1, 1, static_cast<char>(0x81));
  EXPECT_FALSE(key_->Verifies(kMessage, ber));
}

TEST_F(EcdsaMalleability, IntegerWithNeedlessLeadingZeroIsRefused) {
  std::string padded = signature_;
  padded.insert(4, 1, '\0');
  padded[1] = static_cast<char>(padded[1] + 1);
  padded[3] = static_cast<char>(padded[3] + 1);
  EXPECT_FALSE(key_->Verifies(kMessage, padded));
}

TEST_F(EcdsaMalleability, BytesInsideAndAfterTheSequenceAreRefused) {
  EXPECT_FALSE(key_->Verifies(kMessage, signature_ + "x"));
  std::string inside = signature_ + std::string("\x05\x00", 2);
  inside[1] = static_cast<char>(inside[1] + 2);
  EXPECT_FALSE(key_->Verifies(kMessage, inside));
}

TEST_F(EcdsaMalleability, RawConcatenationIsRefused) {
  const auto* at = reinterpret_cast<const unsigned char*>(signature_.data());
  ECDSA_SIG* parsed = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(signature_.size()));
  ASSERT_NE(parsed, nullptr);
  std::string raw(64, '\0');
  BN_bn2binpad(ECDSA_SIG_get0_r(parsed), reinterpret_cast<unsigned char*>(raw.data()), 32);
  BN_bn2binpad(ECDSA_SIG_get0_s(parsed), reinterpret_cast<unsigned char*>(raw.data()) + 32, 32);
  ECDSA_SIG_free(parsed);
  EXPECT_FALSE(key_->Verifies(kMessage, raw));
}

TEST_F(EcdsaMalleability, ZeroAndOutOfRangeValuesAreRefused) {
  EXPECT_FALSE(key_->Verifies(kMessage, std::string("\x30\x06\x02\x01\x00\x02\x01\x00", 8)));
  EXPECT_FALSE(key_->Verifies(kMessage, std::string("\x30\x06\x02\x01\x01\x02\x01\x00", 8)));
  EXPECT_FALSE(key_->Verifies(kMessage, std::string("\x30\x06\x02\x01\xff\x02\x01\x01", 8)));
}

TEST(PublicKeyTest, SignatureOfAnotherAlgorithmIsRefused) {
  const TestKey rsa = TestKey::Rsa(2048);
  const TestKey ec = TestKey::Ecdsa("P-256");
  const TestKey ed = TestKey::Ed25519();
  for (const TestKey* signer : {&rsa, &ec, &ed}) {
    for (const TestKey* verifier : {&rsa, &ec, &ed}) {
      const auto key = PublicKey::FromPem(verifier->Pem());
      ASSERT_TRUE(key);
      EXPECT_EQ(key->Verifies(kMessage, signer->Sign(kMessage)), signer == verifier);
    }
  }
}

TEST(PublicKeyTest, RsaPssIsNotTakenForPkcs1) {
  const TestKey signer = TestKey::Rsa(2048);
  const auto key = PublicKey::FromPem(signer.Pem());
  ASSERT_TRUE(key);
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  EVP_PKEY_CTX* parameters = nullptr;
  ASSERT_EQ(EVP_DigestSignInit(context, &parameters, EVP_sha256(), nullptr, signer.get()), 1);
  ASSERT_EQ(EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING), 1);
  std::string signature(256, '\0');
  size_t length = signature.size();
  ASSERT_EQ(EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &length,
                           reinterpret_cast<const unsigned char*>(kMessage.data()), kMessage.size()), 1);
  EVP_MD_CTX_free(context);
  EXPECT_FALSE(key->Verifies(kMessage, signature));
}

TEST(Base64Test, OnlyTheOneStandardSpellingIsTaken) {
  EXPECT_EQ(DecodeBase64Strict("Zm9vYmE=").value_or(""), "fooba");
  EXPECT_EQ(DecodeBase64Strict("Zm9vYg==").value_or(""), "foob");
  EXPECT_EQ(DecodeBase64Strict("Zm9v").value_or(""), "foo");
  EXPECT_EQ(DecodeBase64Strict("+/+/").value_or(""), "\xfb\xff\xbf");
  for (const std::string_view text : {"", "Zg", "Zg=", "Zg===", "Zm9vYg==\n", " Zm9v", "Zm9\nv", "Zm9vYh==", "Zm9vYmF=",
                                      "-_-_", "Zm9v====", "====", "Zg==Zg==", "Z=9v"}) {
    EXPECT_FALSE(DecodeBase64Strict(text)) << text;
  }
}

}  // namespace
}  // namespace bulwark::trust
