// The hash chain over records:
//   leaf(n)  = SHA-256(0x00 || record bytes)
//   chain(n) = SHA-256(0x01 || chain(n-1) || leaf(n))
// The prefixes are those of RFC 6962 section 2.1, so that the same leaves can carry a Merkle tree
// later.
#pragma once

#include <memory>
#include <string_view>

#include "plugin/audit/record.h"

struct evp_md_ctx_st;
struct evp_md_st;

namespace bulwark::audit {

// Not thread-safe: each thread has its own.
class ChainHasher {
 public:
  ChainHasher();
  ~ChainHasher();
  ChainHasher(const ChainHasher&) = delete;
  ChainHasher& operator=(const ChainHasher&) = delete;

  // chain(n) from chain(n-1) and the stored bytes of record n.
  ChainHash Extend(const ChainHash& previous, std::string_view record);

 private:
  evp_md_st* digest_;
  evp_md_ctx_st* context_;
};

}  // namespace bulwark::audit
