#include "plugin/audit/chain.h"

#include <openssl/evp.h>

namespace bulwark::audit {

ChainHasher::ChainHasher()
    : digest_(EVP_MD_fetch(nullptr, "SHA256", nullptr)), context_(EVP_MD_CTX_new()) {
  BULWARK_CHECK(digest_ != nullptr && context_ != nullptr);
}

ChainHasher::~ChainHasher() {
  EVP_MD_CTX_free(context_);
  EVP_MD_free(digest_);
}

ChainHash ChainHasher::Extend(const ChainHash& previous, std::string_view record) {
  static constexpr uint8_t kLeafPrefix = 0x00;
  static constexpr uint8_t kNodePrefix = 0x01;
  ChainHash leaf;
  BULWARK_CHECK(EVP_DigestInit_ex2(context_, digest_, nullptr) == 1 &&
                EVP_DigestUpdate(context_, &kLeafPrefix, 1) == 1 &&
                EVP_DigestUpdate(context_, record.data(), record.size()) == 1 &&
                EVP_DigestFinal_ex(context_, leaf.data(), nullptr) == 1);
  ChainHash chain;
  BULWARK_CHECK(EVP_DigestInit_ex2(context_, digest_, nullptr) == 1 &&
                EVP_DigestUpdate(context_, &kNodePrefix, 1) == 1 &&
                EVP_DigestUpdate(context_, previous.data(), previous.size()) == 1 &&
                EVP_DigestUpdate(context_, leaf.data(), leaf.size()) == 1 &&
                EVP_DigestFinal_ex(context_, chain.data(), nullptr) == 1);
  return chain;
}

}  // namespace bulwark::audit
