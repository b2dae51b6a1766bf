#include "shim/command/args.h"

#include <gtest/gtest.h>

namespace bulwark::shim {
namespace {

base::Result<Args> Parse(std::vector<const char*> words) {
  words.insert(words.begin(), "/usr/local/bin/containerd-shim-bulwark-v2");
  return ParseArgs(static_cast<int>(words.size()), words.data());
}

TEST(Args, ReadsTheCommandLinesThatContainerdWrites) {
  const auto start =
      Parse({"-namespace", "k8s.io", "-address", "/run/containerd/containerd.sock",
             "-publish-binary", "/usr/bin/containerd", "-id", "abc", "-debug", "start"});
  ASSERT_TRUE(start.has_value());
  EXPECT_EQ(start->action, Action::kStart);
  EXPECT_EQ(start->containerd_namespace, "k8s.io");
  EXPECT_EQ(start->id, "abc");
  EXPECT_EQ(start->address, "/run/containerd/containerd.sock");
  EXPECT_TRUE(start->is_debug);

  const auto gone = Parse({"-namespace", "default", "-address", "/a", "-publish-binary", "", "-id",
                           "abc", "-bundle", "/run/b/abc", "delete"});
  ASSERT_TRUE(gone.has_value());
  EXPECT_EQ(gone->action, Action::kDelete);
  EXPECT_EQ(gone->bundle, "/run/b/abc");
  EXPECT_FALSE(gone->is_debug);
}

TEST(Args, TakesEveryFormOfGoFlags) {
  const auto args =
      Parse({"--namespace=ns", "-id=x", "--address", "/a", "-debug=false", "--info=T"});
  ASSERT_TRUE(args.has_value());
  EXPECT_EQ(args->containerd_namespace, "ns");
  EXPECT_EQ(args->id, "x");
  EXPECT_EQ(args->address, "/a");
  EXPECT_FALSE(args->is_debug);
  EXPECT_TRUE(args->show_info);
  EXPECT_EQ(args->action, Action::kServe);
}

TEST(Args, StopsAtTheFirstPositionalWord) {
  const auto args = Parse({"-namespace", "ns", "-id", "x", "start", "-debug"});
  ASSERT_TRUE(args.has_value());
  EXPECT_FALSE(args->is_debug);
}

TEST(Args, IgnoresAndNamesFlagsItDoesNotKnow) {
  const auto args = Parse(
      {"-shiny", "-namespace", "ns", "-colour", "blue", "-size=3", "-id", "x", "-last", "delete"});
  ASSERT_TRUE(args.has_value());
  EXPECT_EQ(args->unknown_flags, (std::vector<std::string>{"shiny", "colour", "size", "last"}));
  EXPECT_EQ(args->action, Action::kDelete);
  EXPECT_EQ(args->id, "x");
}

TEST(Args, RefusesAnEmptyNamespaceExceptToShowVersionOrInfo) {
  EXPECT_EQ(Parse({"-id", "x", "start"}).error().code(), base::Code::kInvalidArgument);
  EXPECT_TRUE(Parse({"-v"}).has_value());
  EXPECT_TRUE(Parse({"-version"}).has_value());
  EXPECT_TRUE(Parse({"-info"}).has_value());
}

TEST(Args, RefusesWhatCannotBeMeant) {
  EXPECT_FALSE(Parse({"-namespace"}).has_value());
  EXPECT_FALSE(Parse({"-namespace", "ns", "-id", "x", "-debug=perhaps", "start"}).has_value());
  EXPECT_FALSE(Parse({"-namespace", "ns", "-id", "x", "restart"}).has_value());
  EXPECT_FALSE(Parse({"-namespace", "ns", "start"}).has_value());
  EXPECT_FALSE(Parse({"-namespace", "ns", "-id", "../x", "delete"}).has_value());
  EXPECT_FALSE(Parse({"-namespace", "a/b", "-id", "x", "delete"}).has_value());
}

TEST(Identifier, IsWhatContainerdAccepts) {
  for (const char* good : {"a", "A1", "k8s.io", "a-b_c.d", "0123456789abcdef"}) {
    EXPECT_TRUE(IsIdentifier(good)) << good;
  }
  for (const char* bad : {"", ".", "..", "-a", "a-", "a..b", "a/b", "a b", "a\n", "\xc3\xa9"}) {
    EXPECT_FALSE(IsIdentifier(bad)) << bad;
  }
  EXPECT_TRUE(IsIdentifier(std::string(76, 'a')));
  EXPECT_FALSE(IsIdentifier(std::string(77, 'a')));
}

}  // namespace
}  // namespace bulwark::shim
