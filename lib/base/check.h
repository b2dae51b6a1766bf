// CHECK for broken invariants: prints where and aborts. Bad input must never reach one; it gets an Error.
#pragma once

namespace bulwark::base {
[[noreturn]] void CheckFailed(const char* condition, const char* file, int line);
}  // namespace bulwark::base

#define BULWARK_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::bulwark::base::CheckFailed(#condition, __FILE__, __LINE__))
