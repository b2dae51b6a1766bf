#include "shim/os/stdio_uri.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bulwark::shim {
namespace {

using ::testing::ElementsAre;

TEST(StdioUri, EmptyMeansNone) { EXPECT_EQ(ParseStdioUri("")->kind, StdioKind::kNone); }

TEST(StdioUri, APathIsTakenLiterally) {
  const auto uri = ParseStdioUri("/run/containerd/fifo/1%2f?x#y");
  ASSERT_TRUE(uri);
  EXPECT_EQ(uri->kind, StdioKind::kPath);
  EXPECT_EQ(uri->path, "/run/containerd/fifo/1%2f?x#y");
  EXPECT_EQ(ParseStdioUri("fifo:///a/b")->path, "/a/b");
}

TEST(StdioUri, AFileIsDecoded) {
  const auto uri = ParseStdioUri("file:///var/log/a%20b+c.log");
  ASSERT_TRUE(uri);
  EXPECT_EQ(uri->kind, StdioKind::kFile);
  EXPECT_EQ(uri->path, "/var/log/a b+c.log");
}

TEST(StdioUri, ALoggerGetsEachKeyWithItsFirstValue) {
  const auto uri = ParseStdioUri("binary:///usr/bin/log?id=a+b&flag&id=second&x=%41");
  ASSERT_TRUE(uri);
  EXPECT_EQ(uri->kind, StdioKind::kLogger);
  EXPECT_FALSE(uri->logger_must_report);
  EXPECT_THAT(uri->logger_arguments, ElementsAre("id", "a b", "flag", "", "x", "A"));
  EXPECT_TRUE(ParseStdioUri("binary-v2:///usr/bin/log")->logger_must_report);
}

TEST(StdioUri, WhatIsNotUnderstoodIsRefused) {
  for (const char* text : {"relative", "http:///x", "file://host/x", "file://", "binary:///x?a=%zz",
                           "binary:///x?a=%0", "file:///x%00", "file:///x?y", "file:///x#y",
                           "binary:///x#y", "fifo://rel", "://x"}) {
    const auto uri = ParseStdioUri(text);
    ASSERT_FALSE(uri) << text;
    EXPECT_EQ(uri.error().code(), base::Code::kInvalidArgument) << text;
  }
  EXPECT_FALSE(ParseStdioUri(std::string("/a\0b", 4)));
  EXPECT_FALSE(ParseStdioUri("/" + std::string(kStdioUriBytesMax, 'x')));
}

}  // namespace
}  // namespace bulwark::shim
