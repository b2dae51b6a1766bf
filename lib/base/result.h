// The error type and the value-or-error type of the whole project. Everything that can fail returns Result<T> or
// Status; our code does not throw. Named like std::expected, so that it can be replaced by it one day.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "lib/base/check.h"

namespace bulwark::base {

// The sixteen canonical gRPC codes plus kOk's absence: an Error is never OK. Numbers are those on the wire.
enum class Code {
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

// The code's name as gRPC writes it, e.g. "NOT_FOUND".
std::string_view CodeName(Code code);

// What was attempted, on what, and why it failed: lower case, no full stop. `os_errno` is 0 when no system call failed.
class [[nodiscard]] Error {
 public:
  Error(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  template <typename... Args>
  static Error Make(Code code, fmt::format_string<Args...> format, Args&&... args) {
    return Error(code, fmt::format(format, std::forward<Args>(args)...));
  }

  // Captures errno: call it directly after the system call that failed. Appends ": <strerror>" to the message and
  // picks the code that fits the errno.
  template <typename... Args>
  static Error FromErrno(fmt::format_string<Args...> format, Args&&... args) {
    const int saved = CurrentErrno();
    return WithErrno(saved, fmt::format(format, std::forward<Args>(args)...));
  }

  static Error WithErrno(int os_errno, std::string_view attempted);

  // "context: message"; for callers that know something the callee did not.
  template <typename... Args>
  Error Wrap(fmt::format_string<Args...> format, Args&&... args) && {
    message_ = fmt::format(format, std::forward<Args>(args)...) + ": " + message_;
    return std::move(*this);
  }

  Code code() const { return code_; }
  int os_errno() const { return os_errno_; }
  const std::string& message() const { return message_; }

 private:
  static int CurrentErrno();

  Code code_;
  int os_errno_ = 0;
  std::string message_;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  T& value() & { return CheckedValue(); }
  const T& value() const& { return const_cast<Result*>(this)->CheckedValue(); }
  T&& value() && { return std::move(CheckedValue()); }
  T& operator*() & { return CheckedValue(); }
  const T& operator*() const& { return const_cast<Result*>(this)->CheckedValue(); }
  T&& operator*() && { return std::move(CheckedValue()); }
  T* operator->() { return &CheckedValue(); }
  const T* operator->() const { return &const_cast<Result*>(this)->CheckedValue(); }

  Error& error() & { return CheckedError(); }
  const Error& error() const& { return const_cast<Result*>(this)->CheckedError(); }
  Error&& error() && { return std::move(CheckedError()); }

  template <typename U>
  T value_or(U&& fallback) && {
    return has_value() ? std::move(CheckedValue()) : static_cast<T>(std::forward<U>(fallback));
  }

 private:
  T& CheckedValue() {
    BULWARK_CHECK(state_.index() == 0);
    return *std::get_if<0>(&state_);
  }
  Error& CheckedError() {
    BULWARK_CHECK(state_.index() == 1);
    return *std::get_if<1>(&state_);
  }

  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool has_value() const { return !error_.has_value(); }
  explicit operator bool() const { return has_value(); }

  Error& error() & { return CheckedError(); }
  const Error& error() const& { return const_cast<Result*>(this)->CheckedError(); }
  Error&& error() && { return std::move(CheckedError()); }

 private:
  Error& CheckedError() {
    BULWARK_CHECK(error_.has_value());
    return *error_;
  }

  std::optional<Error> error_;
};

using Status = Result<void>;
inline Status OkStatus() { return {}; }

}  // namespace bulwark::base

#define BULWARK_CONCAT_INNER(a, b) a##b
#define BULWARK_CONCAT(a, b) BULWARK_CONCAT_INNER(a, b)

// Returns the error of `expr` (a Status or Result) from the enclosing function, if it has one.
#define RETURN_IF_ERROR(expr)                                             \
  do {                                                                    \
    if (auto bulwark_status = (expr); !bulwark_status.has_value())        \
      return std::move(bulwark_status).error();                           \
  } while (false)

// ASSIGN_OR_RETURN(auto x, MakeX()): declares x, or returns the error from the enclosing function.
#define ASSIGN_OR_RETURN(lhs, expr) \
  ASSIGN_OR_RETURN_IMPL(BULWARK_CONCAT(bulwark_result_, __LINE__), lhs, expr)
#define ASSIGN_OR_RETURN_IMPL(result, lhs, expr)            \
  auto result = (expr);                                     \
  if (!result.has_value()) return std::move(result).error(); \
  lhs = std::move(result).value()
