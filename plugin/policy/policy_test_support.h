// What the tests of plugin/policy share: parsing one text as the file /p/a.yaml, with a key reader that knows three keys.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>

#include "plugin/policy/policy_parser.h"

namespace bulwark::policy {

inline constexpr char kKeyA[] = "-----BEGIN PUBLIC KEY-----\nQUFB\n-----END PUBLIC KEY-----\n";
inline constexpr char kKeyB[] = "-----BEGIN PUBLIC KEY-----\nQkJC\n-----END PUBLIC KEY-----\n";

inline base::Result<std::string> ReadTestKey(const std::string& path) {
  if (path == "/p/a.pub") return std::string(kKeyA);
  if (path == "/abs/b.pub") return std::string(kKeyB);
  if (path == "/p/both.pub") return std::string(kKeyA) + kKeyB;
  if (path == "/p/empty.pub") return std::string("nothing here\n");
  if (path == "/p/cut.pub") return std::string("-----BEGIN PUBLIC KEY-----\nQUFB\n");
  if (path == "/p/private.pem") return std::string("-----BEGIN PRIVATE KEY-----\nQUFB\n-----END PRIVATE KEY-----\n");
  return base::Error::Make(base::Code::kNotFound, "open {}: No such file or directory", path);
}

inline base::Result<PolicySet> Parse(std::string text) {
  const PolicyFile file = {"/p/a.yaml", std::move(text)};
  return ParsePolicy({&file, 1}, ReadTestKey);
}

// Puts the head before `rest`; the first line of `rest` is line 3.
inline std::string WithHead(std::string_view rest) {
  return "apiVersion: bulwark.dev/v1\nkind: Policy\n" + std::string(rest);
}

inline std::string ErrorOf(std::string text) {
  auto set = Parse(std::move(text));
  return set ? "no error" : set.error().message();
}

inline PolicySet MustParse(std::string text) {
  auto set = Parse(std::move(text));
  EXPECT_TRUE(set.has_value()) << set.error().message();
  return set ? std::move(set).value() : PolicySet();
}

}  // namespace bulwark::policy
