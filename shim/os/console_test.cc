// Terminals: the console socket, echo, resizing, and the end of a process on a pty.
#include "shim/os/console.h"

#include <gtest/gtest.h>

#include <pty.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>

#include "lib/base/file_io.h"
#include "lib/base/unix_socket.h"
#include "shim/os/stdio.h"
#include "shim/os/test_support.h"

namespace bulwark::shim {
namespace {

using testing::LoopFixture;
using testing::MakeFifo;
using testing::OpenFd;
using testing::ReadSome;
using testing::TempDir;

// Sends `fd` as runc does: one message with the console's name and SCM_RIGHTS.
bool SendDescriptor(const std::string& socket_path, int fd) {
  const auto socket = base::ConnectUnix(socket_path);
  if (!socket) return false;
  char name[] = "/dev/ptmx";
  iovec vector{name, sizeof name - 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* part = CMSG_FIRSTHDR(&message);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(part), &fd, sizeof fd);
  return sendmsg(socket->get(), &message, MSG_NOSIGNAL) > 0;
}

class ConsoleTest : public ::testing::Test, protected LoopFixture {
 protected:
  // Opens the stdio of a terminal and the pty that a runtime would make; the master is not sent
  // yet.
  void Open(bool is_raw) {
    StdioRequest request;
    request.terminal = true;
    request.stdin_uri = MakeFifo(dir_, "in");
    request.stdout_uri = MakeFifo(dir_, "out");
    auto opened = Stdio::Open(loop(), request);
    ASSERT_TRUE(opened) << opened.error().message();
    stdio_ = *std::move(opened);
    int master = -1, slave = -1;
    ASSERT_EQ(openpty(&master, &slave, nullptr, nullptr, nullptr), 0);
    master_.Reset(master);
    slave_.Reset(slave);
    fcntl(slave, F_SETFL, O_NONBLOCK);
    if (is_raw) {
      termios settings{};
      tcgetattr(slave, &settings);
      cfmakeraw(&settings);
      tcsetattr(slave, TCSANOW, &settings);
    }
    reader_ = OpenFd(request.stdout_uri, O_RDONLY | O_NONBLOCK);
    writer_ = OpenFd(request.stdin_uri, O_WRONLY | O_NONBLOCK);
    stdio_->ChildSpawned();
  }
  void Send() {
    ASSERT_TRUE(SendDescriptor(stdio_->console_socket(), master_.get()));
    master_.Reset();
    const auto status = stdio_->RuntimeFinished();
    ASSERT_TRUE(status);
  }
  void OpenAndSend(bool is_raw = false) {
    Open(is_raw);
    Send();
  }
  bool ReadUntil(const std::string& end) {
    return RunUntil([&] {
      ReadSome(reader_.get(), got_);
      return got_.size() >= end.size() && got_.substr(got_.size() - end.size()) == end;
    });
  }

  TempDir dir_;
  std::unique_ptr<Stdio> stdio_;
  base::UniqueFd master_, slave_, reader_, writer_;
  std::string got_;
};

TEST_F(ConsoleTest, TheTerminalEchoesAndKeepsItsModes) {
  OpenAndSend();
  ASSERT_EQ(write(writer_.get(), "ls\n", 3), 3);
  ASSERT_TRUE(ReadUntil("ls\r\n"));
  std::string typed;
  ASSERT_TRUE(RunUntil([&] { return ReadSome(slave_.get(), typed) && typed == "ls\n"; }));
  ASSERT_EQ(write(slave_.get(), "answer\n", 7), 7);
  EXPECT_TRUE(ReadUntil("answer\r\n"));
}

TEST_F(ConsoleTest, TheSocketIsPrivateAndGoneOnceUsed) {
  Open(false);
  const std::string path = stdio_->console_socket();
  const std::string directory = path.substr(0, path.rfind('/'));
  struct stat info {};
  ASSERT_EQ(stat(directory.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0700U);
  Send();
  EXPECT_FALSE(base::PathExists(directory));
}

TEST_F(ConsoleTest, AResizeBeforeTheConsoleArrivesIsNotLost) {
  Open(false);
  ASSERT_TRUE(stdio_->Resize(132, 43));
  Send();
  winsize size{};
  ASSERT_EQ(ioctl(slave_.get(), TIOCGWINSZ, &size), 0);
  EXPECT_EQ(size.ws_col, 132);
  EXPECT_EQ(size.ws_row, 43);
  ASSERT_TRUE(stdio_->Resize(80, 25));
  ASSERT_EQ(ioctl(slave_.get(), TIOCGWINSZ, &size), 0);
  EXPECT_EQ(size.ws_col, 80);
  EXPECT_FALSE(stdio_->Resize(65536, 1));
}

TEST_F(ConsoleTest, WhatWasWrittenBeforeTheExitArrivesAndThenEof) {
  OpenAndSend();
  std::string sent(3000, 'x');
  ASSERT_EQ(write(slave_.get(), sent.data(), sent.size()), 3000);
  slave_.Reset();
  bool is_drained = false;
  stdio_->ProcessExited();
  stdio_->OnOutputDrained([&] { is_drained = true; });
  ASSERT_TRUE(RunUntil([&] { return !ReadSome(reader_.get(), got_); }));
  EXPECT_EQ(got_, sent);
  EXPECT_TRUE(is_drained);
  EXPECT_TRUE(stdio_->Resize(1, 1));
}

TEST_F(ConsoleTest, AHangUpBeforeTheExitIsNotTheEndAndDoesNotSpin) {
  Open(false);
  const std::string name = ttyname(slave_.get());
  const base::UniqueFd spare(fcntl(master_.get(), F_DUPFD_CLOEXEC, 3));  // keeps the pty
  Send();
  slave_.Reset();
  RunFor(50);
  const int before = turns();
  RunFor(200);
  EXPECT_LE(turns() - before, 60);
  slave_ = OpenFd(name, O_RDWR | O_NOCTTY);
  ASSERT_TRUE(slave_.is_open());
  ASSERT_EQ(write(slave_.get(), "back\n", 5), 5);
  EXPECT_TRUE(ReadUntil("back\r\n"));
}

TEST_F(ConsoleTest, AFloodOfOutputComesThroughToASlowReader) {
  OpenAndSend(true);
  const size_t total = 500'000;
  size_t written = 0;
  ASSERT_TRUE(RunUntil([&] {
    if (written < total) {
      const std::string chunk(std::min<size_t>(4096, total - written), 'y');
      const ssize_t put = write(slave_.get(), chunk.data(), chunk.size());
      if (put > 0) written += static_cast<size_t>(put);
    }
    char few[2000];
    const ssize_t some = read(reader_.get(), few, sizeof few);
    if (some > 0) got_.append(few, static_cast<size_t>(some));
    return got_.size() == total;
  }, 60'000));
}

TEST_F(ConsoleTest, AFloodOfInputWaitsForASlowProcess) {
  OpenAndSend(true);
  const size_t total = 200'000;
  size_t written = 0, received = 0;
  EXPECT_TRUE(RunUntil([&] {
    if (written < total) {
      const std::string chunk(std::min<size_t>(60'000, total - written), 'z');
      const ssize_t put = write(writer_.get(), chunk.data(), chunk.size());
      if (put > 0) written += static_cast<size_t>(put);
    }
    char few[1500];
    const ssize_t some = read(slave_.get(), few, sizeof few);
    if (some > 0) received += static_cast<size_t>(some);
    return received == total;
  }, 60'000)) << received;
}

TEST_F(ConsoleTest, ClosedStdinHangsUpTheTerminal) {
  OpenAndSend();
  writer_.Reset();
  RunFor(20);
  stdio_->CloseStdin();
  EXPECT_TRUE(RunUntil([&] { return !ReadSome(reader_.get(), got_); }));
  char byte = 0;
  EXPECT_EQ(read(slave_.get(), &byte, 1), 0);  // end of file: hung up
}

TEST_F(ConsoleTest, ARuntimeThatSendsNoConsoleIsNoticed) {
  Open(false);
  auto status = stdio_->RuntimeFinished();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), base::Code::kUnavailable);
  bool is_drained = false;
  stdio_->OnOutputDrained([&] { is_drained = true; });
  EXPECT_TRUE(is_drained);
}

TEST_F(ConsoleTest, SomethingOtherThanATerminalIsRefused) {
  Open(false);
  ASSERT_TRUE(SendDescriptor(stdio_->console_socket(), OpenFd("/dev/null", O_RDWR).get()));
  EXPECT_FALSE(stdio_->RuntimeFinished());
}

TEST_F(ConsoleTest, NothingIsLeftOpen) {
  RunFor(1);
  const size_t before = testing::OpenDescriptors();
  OpenAndSend();
  stdio_.reset();
  slave_.Reset();
  reader_.Reset();
  writer_.Reset();
  EXPECT_EQ(testing::OpenDescriptors(), before);
}

}  // namespace
}  // namespace bulwark::shim
