#include "lib/base/unix_socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "lib/base/file_io.h"

namespace bulwark::base {
namespace {

class UnixSocketTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/bulwark-socket-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    dir_ = name;
    path_ = dir_ + "/s.sock";
    int pair[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    left_.Reset(pair[0]);
    right_.Reset(pair[1]);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  // Sends one byte with `count` copies of a descriptor.
  void SendDescriptors(size_t count) {
    const UniqueFd null_device(open("/dev/null", O_RDONLY | O_CLOEXEC));
    std::vector<int> fds(count, null_device.get());
    std::vector<char> control(CMSG_SPACE(count * sizeof(int)));
    char byte = 'x';
    iovec vector{&byte, 1};
    msghdr message{};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    if (count > 0) {
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      cmsghdr* part = CMSG_FIRSTHDR(&message);
      part->cmsg_level = SOL_SOCKET;
      part->cmsg_type = SCM_RIGHTS;
      part->cmsg_len = CMSG_LEN(count * sizeof(int));
      memcpy(CMSG_DATA(part), fds.data(), count * sizeof(int));
    }
    ASSERT_EQ(sendmsg(left_.get(), &message, 0), 1);
  }
  static size_t OpenDescriptors() { return ListDirectory("/proc/self/fd", 10'000).value().size(); }

  std::string dir_;
  std::string path_;
  UniqueFd left_;
  UniqueFd right_;
};

TEST_F(UnixSocketTest, AConnectionIsAcceptedWithThePeersCredentials) {
  const UniqueFd listener = ListenUnix(path_, 0600).value();
  EXPECT_EQ(AcceptUnix(listener.get()).error().code(), Code::kUnavailable);
  const UniqueFd client = ConnectUnix(path_).value();
  const UniqueFd server = AcceptUnix(listener.get()).value();
  const PeerCredentials peer = PeerOf(server.get()).value();
  EXPECT_EQ(peer.pid, getpid());
  EXPECT_EQ(peer.uid, geteuid());
  EXPECT_EQ(peer.gid, getegid());
  for (const UniqueFd* fd : {&listener, &client, &server}) {
    EXPECT_NE(fcntl(fd->get(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(fcntl(fd->get(), F_GETFD) & FD_CLOEXEC, 0);
  }
}

TEST_F(UnixSocketTest, TheSocketFileHasTheModeAskedForWhateverTheUmask) {
  const mode_t old_mask = umask(0);
  const UniqueFd tight = ListenUnix(path_, 0600).value();
  umask(0777);
  const UniqueFd loose = ListenUnix(dir_ + "/loose", 0666).value();
  umask(old_mask);
  struct stat info {};
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  ASSERT_EQ(stat((dir_ + "/loose").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0666U);
}

TEST_F(UnixSocketTest, AStaleSocketIsReplacedALiveOneIsNot) {
  UniqueFd first = ListenUnix(path_, 0600).value();
  EXPECT_EQ(ListenUnix(path_, 0600).error().code(), Code::kAlreadyExists);
  EXPECT_TRUE(ConnectUnix(path_));
  first.Reset();
  EXPECT_EQ(ConnectUnix(path_).error().code(), Code::kUnavailable);
  const UniqueFd second = ListenUnix(path_, 0600).value();
  EXPECT_TRUE(ConnectUnix(path_));
}

TEST_F(UnixSocketTest, WhatIsNoSocketIsLeftAlone) {
  ASSERT_TRUE(ReplaceFile(path_, "data", 0600, false));
  EXPECT_EQ(ListenUnix(path_, 0600).error().code(), Code::kFailedPrecondition);
  EXPECT_EQ(ReadFile(path_, 9).value(), "data");
  ASSERT_EQ(symlink(path_.c_str(), (dir_ + "/link").c_str()), 0);
  EXPECT_EQ(ListenUnix(dir_ + "/link", 0600).error().code(), Code::kFailedPrecondition);
}

TEST_F(UnixSocketTest, PathsThatDoNotFitTheAddressAreRefused) {
  EXPECT_EQ(ConnectUnix("").error().code(), Code::kInvalidArgument);
  EXPECT_EQ(ConnectUnix(std::string(108, 'x')).error().code(), Code::kInvalidArgument);
  EXPECT_EQ(ConnectUnix(std::string("a\0b", 3)).error().code(), Code::kInvalidArgument);
  EXPECT_EQ(ConnectUnix(dir_ + "/absent").error().code(), Code::kNotFound);
  const std::string longest = dir_ + "/" + std::string(107 - dir_.size() - 1, 'l');
  const UniqueFd listener = ListenUnix(longest, 0600).value();
  EXPECT_TRUE(ConnectUnix(longest));
}

TEST_F(UnixSocketTest, OneDescriptorIsReceivedCloseOnExec) {
  SendDescriptors(1);
  const UniqueFd received = ReceiveDescriptor(right_.get()).value();
  struct stat info {};
  ASSERT_EQ(fstat(received.get(), &info), 0);
  EXPECT_TRUE(S_ISCHR(info.st_mode));
  EXPECT_NE(fcntl(received.get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(UnixSocketTest, AnyOtherNumberOfDescriptorsIsAnErrorAndLeaksNone) {
  const size_t before = OpenDescriptors();
  for (const size_t count : {size_t{0}, size_t{2}, size_t{8}, size_t{100}}) {
    SendDescriptors(count);
    EXPECT_EQ(ReceiveDescriptor(right_.get()).error().code(), Code::kInvalidArgument) << count;
    EXPECT_EQ(OpenDescriptors(), before) << count;
  }
  EXPECT_EQ(ReceiveDescriptor(right_.get()).error().code(), Code::kUnavailable);
  left_.Reset();
  EXPECT_EQ(ReceiveDescriptor(right_.get()).error().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace bulwark::base
