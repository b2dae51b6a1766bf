#include "plugin/profiles/host_view.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <thread>

namespace bulwark::profiles {
namespace {

TEST(HostViewTest, TheHostsNamespaceIsKnownByWhateverPath) {
  EXPECT_TRUE(IsHostNamespace("network", "/proc/self/ns/net"));
  char name[] = "/tmp/host_view_test.XXXXXX";
  ASSERT_NE(mkdtemp(name), nullptr);
  const std::string link = std::string(name) + "/net";
  ASSERT_EQ(symlink("/proc/self/ns/net", link.c_str()), 0);
  EXPECT_TRUE(IsHostNamespace("network", link));
  std::filesystem::remove_all(name);
}

TEST(HostViewTest, AnotherNamespaceIsNotTheHosts) {
  EXPECT_FALSE(IsHostNamespace("network", "/proc/self/ns/mnt"));  // another inode is all there is to it
  std::thread([] {
    if (unshare(CLONE_NEWUTS) != 0) return;  // needs CAP_SYS_ADMIN
    EXPECT_FALSE(IsHostNamespace("uts", "/proc/thread-self/ns/uts"));
  }).join();
}

TEST(HostViewTest, WhatCannotBeToldCountsAsTheHosts) {
  EXPECT_TRUE(IsHostNamespace("network", "/proc/1/ns/none"));
  EXPECT_TRUE(IsHostNamespace("network", ""));
  EXPECT_TRUE(IsHostNamespace("net", "/tmp"));
}

TEST(HostViewTest, SymlinksAreFollowedAsFarAsThePathExists) {
  char name[] = "/tmp/host_view_test.XXXXXX";
  ASSERT_NE(mkdtemp(name), nullptr);
  const std::string root = name;
  std::filesystem::create_directory(root + "/real");
  ASSERT_EQ(symlink("real", (root + "/link").c_str()), 0);
  EXPECT_EQ(ResolvePath(root + "/link"), root + "/real");
  EXPECT_EQ(ResolvePath(root + "/link/none/x/"), root + "/real/none/x");
  EXPECT_EQ(ResolvePath(root + "/link/../x"), root + "/x");
  ASSERT_EQ(symlink("loop", (root + "/loop").c_str()), 0);
  EXPECT_EQ(ResolvePath(root + "/loop/./x"), root + "/loop/x");
  EXPECT_EQ(ResolvePath("/proc/self/root/etc"), "/etc");
  std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace bulwark::profiles
