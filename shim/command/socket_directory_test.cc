#include "shim/command/socket_directory.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include <fstream>

#include "lib/base/file_io.h"
#include "lib/base/unix_socket.h"

namespace bulwark::shim {
namespace {

class SocketDirectoryTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "s.XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  std::string directory_;
  std::string name_ = std::string(64, 'a');
};

TEST_F(SocketDirectoryTest, IsMadeAndLockedWhileTheLockLives) {
  const std::string sockets = directory_ + "/run/s";
  {
    const auto lock = SocketDirectoryLock::Take(sockets);
    ASSERT_TRUE(lock.has_value());
    const auto other = base::OpenDirectory(sockets);
    EXPECT_EQ(flock(other->get(), LOCK_EX | LOCK_NB), -1);
  }
  const auto other = base::OpenDirectory(sockets);
  EXPECT_EQ(flock(other->get(), LOCK_EX | LOCK_NB), 0);
}

TEST_F(SocketDirectoryTest, OnlyDeadShimSocketsAreRemoved) {
  const std::string path = directory_ + "/" + name_;
  {
    const auto listener = base::ListenUnix(path, 0600);
    RemoveDeadSocket(path);
    EXPECT_TRUE(base::PathExists(path)) << "somebody listens";
  }
  RemoveDeadSocket(path);
  EXPECT_FALSE(base::PathExists(path));

  const std::string other = directory_ + "/docker.sock";
  { const auto listener = base::ListenUnix(other, 0600); }
  RemoveDeadSocket(other);
  EXPECT_TRUE(base::PathExists(other)) << "not named like a shim's socket";

  std::ofstream file(path);
  RemoveDeadSocket(path);
  EXPECT_TRUE(base::PathExists(path)) << "not a socket";
}

TEST(SocketPathOfAddress, UnderstandsPlainUnixAddresses) {
  EXPECT_EQ(SocketPathOfAddress("unix:///run/containerd/s/x"), "/run/containerd/s/x");
  EXPECT_EQ(SocketPathOfAddress("unix:///run/x\n"), "/run/x");
  EXPECT_EQ(SocketPathOfAddress("/run/x"), "");
  EXPECT_EQ(SocketPathOfAddress("unix://relative"), "");
  EXPECT_EQ(SocketPathOfAddress("{\"version\":2}"), "");
}

}  // namespace
}  // namespace bulwark::shim
