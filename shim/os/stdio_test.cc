#include "shim/os/stdio.h"

#include <gtest/gtest.h>

#include <sys/resource.h>

#include <optional>

#include "lib/base/file_io.h"
#include "shim/os/test_support.h"

namespace bulwark::shim {
namespace {

using testing::LoopFixture;
using testing::MakeFifo;
using testing::OpenDescriptors;
using testing::OpenFd;
using testing::ReadSome;
using testing::TempDir;

// The container: it holds copies of the descriptors that the runtime would pass on.
struct FakeContainer {
  base::UniqueFd in, out, err;
};

class StdioTest : public ::testing::Test, protected LoopFixture {
 protected:
  void Open(const std::string& in, const std::string& out, const std::string& err) {
    StdioRequest request;
    request.stdin_uri = in;
    request.stdout_uri = out;
    request.stderr_uri = err;
    auto opened = Stdio::Open(loop(), request);
    ASSERT_TRUE(opened) << opened.error().message();
    stdio_ = *std::move(opened);
  }

  FakeContainer Spawn() {
    FakeContainer container;
    for (const auto& [ours, theirs] : stdio_->ChildDescriptors()) {
      base::UniqueFd copy(fcntl(ours, F_DUPFD_CLOEXEC, 3));
      (theirs == 0 ? container.in : theirs == 1 ? container.out : container.err) = std::move(copy);
    }
    stdio_->ChildSpawned();
    return container;
  }

  bool ReadUntilEof(int fd, std::string& text) {
    return RunUntil([&] { return !ReadSome(fd, text); });
  }

  TempDir dir_;
  std::unique_ptr<Stdio> stdio_;
};

std::string Pattern(size_t size) {
  std::string text(size, ' ');
  for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + (i * 7 + i / 251) % 26);
  return text;
}

TEST_F(StdioTest, NullGivesNoDescriptorsAndIsDrainedAtOnce) {
  Open("", "", "");
  EXPECT_TRUE(stdio_->ChildDescriptors().empty());
  stdio_->ChildSpawned();
  bool is_drained = false;
  stdio_->OnOutputDrained([&] { is_drained = true; });
  EXPECT_TRUE(is_drained);
  EXPECT_TRUE(stdio_->Resize(80, 25));
}

TEST_F(StdioTest, AMegabyteComesThroughAndEofFollowsAtOnce) {
  const std::string out = MakeFifo(dir_, "out");
  const std::string err = MakeFifo(dir_, "err");
  Open("", out, "fifo://" + err);
  const base::UniqueFd reader = OpenFd(out, O_RDONLY | O_NONBLOCK);
  const base::UniqueFd err_reader = OpenFd(err, O_RDONLY | O_NONBLOCK);
  FakeContainer container = Spawn();
  fcntl(container.out.get(), F_SETFL, O_NONBLOCK);

  const std::string sent = Pattern(1 << 20);
  std::string got;
  size_t written = 0;
  ASSERT_TRUE(RunUntil([&] {
    if (written < sent.size()) {
      const ssize_t put = write(container.out.get(), sent.data() + written, sent.size() - written);
      if (put > 0) written += static_cast<size_t>(put);
    }
    ReadSome(reader.get(), got);
    return got.size() == sent.size();
  }));
  EXPECT_EQ(got, sent);
  ASSERT_EQ(write(container.err.get(), "oops", 4), 4);
  bool is_drained = false;
  stdio_->OnOutputDrained([&] { is_drained = true; });
  container = {};
  std::string rest, errors;
  EXPECT_TRUE(ReadUntilEof(reader.get(), rest));
  EXPECT_TRUE(ReadUntilEof(err_reader.get(), errors));
  EXPECT_EQ(rest, "");
  EXPECT_EQ(errors, "oops");
  EXPECT_TRUE(is_drained);
}

TEST_F(StdioTest, AReaderThatGoesAwayAndComesBackLosesNothing) {
  const std::string out = MakeFifo(dir_, "out");
  Open("", out, "");
  base::UniqueFd reader = OpenFd(out, O_RDONLY | O_NONBLOCK);
  FakeContainer container = Spawn();
  ASSERT_EQ(write(container.out.get(), "first\n", 6), 6);
  std::string got;
  ASSERT_TRUE(RunUntil([&] { return ReadSome(reader.get(), got) && got == "first\n"; }));
  reader.Reset();

  const std::string sent = Pattern(40'000);
  ASSERT_EQ(write(container.out.get(), sent.data(), sent.size()), 40'000);
  RunFor(50);
  reader = OpenFd(out, O_RDONLY | O_NONBLOCK);
  got.clear();
  container = {};
  ASSERT_TRUE(ReadUntilEof(reader.get(), got));
  EXPECT_EQ(got, sent);
}

TEST_F(StdioTest, WithoutAReaderTheContainerBlocksAndTheLoopSleeps) {
  const std::string out = MakeFifo(dir_, "out");
  Open("", out, "");
  FakeContainer container = Spawn();
  fcntl(container.out.get(), F_SETFL, O_NONBLOCK);
  const std::string chunk = Pattern(4096);
  size_t sent = 0;
  for (int quiet = 0; quiet < 20;) {
    const ssize_t put = write(container.out.get(), chunk.data(), chunk.size());
    if (put > 0) sent += static_cast<size_t>(put);
    quiet = put > 0 ? 0 : quiet + 1;
    RunFor(2);
  }
  EXPECT_GE(sent, 128U * 1024);  // the fifo and the pipe
  EXPECT_LE(sent, 256U * 1024);
  // Each turn of an idle loop takes its 5 ms; a spinning one takes none.
  const int before = turns();
  RunFor(200);
  EXPECT_LE(turns() - before, 60);

  const base::UniqueFd reader = OpenFd(out, O_RDONLY | O_NONBLOCK);
  container = {};
  std::string got;
  ASSERT_TRUE(ReadUntilEof(reader.get(), got));
  EXPECT_EQ(got.size(), sent);
}

TEST_F(StdioTest, ShortLinesFillTheWholeFifoNotItsSlots) {
  const std::string out = MakeFifo(dir_, "out");
  Open("", out, "");
  FakeContainer container = Spawn();
  for (int i = 0; i < 200; ++i) {
    ASSERT_EQ(write(container.out.get(), "line\n", 5), 5);
    RunFor(1);
  }
  const base::UniqueFd reader = OpenFd(out, O_RDONLY | O_NONBLOCK);
  std::string got;
  ReadSome(reader.get(), got);
  EXPECT_EQ(got.size(), 1000U);
}

TEST_F(StdioTest, ARegularFileAtThePathIsAppendedTo) {
  ASSERT_TRUE(base::ReplaceFile(dir_ / "log", "before\n", 0644, false));
  Open("", dir_ / "log", dir_ / "log");
  FakeContainer container = Spawn();
  ASSERT_EQ(write(container.out.get(), "out\n", 4), 4);
  RunFor(20);
  ASSERT_EQ(write(container.err.get(), "err\n", 4), 4);
  RunFor(20);
  EXPECT_EQ(*base::ReadFile(dir_ / "log", 1000), "before\nout\nerr\n");
}

TEST_F(StdioTest, AFileUriIsCreatedWithItsDirectoriesAndGetsStderrToo) {
  Open("", "file://" + (dir_ / "a/b/log"), "");
  FakeContainer container = Spawn();
  const std::string big = Pattern(100'000);
  fcntl(container.out.get(), F_SETFL, O_NONBLOCK);
  size_t written = 0;
  ASSERT_TRUE(RunUntil([&] {
    const ssize_t put = write(container.out.get(), big.data() + written, big.size() - written);
    if (put > 0) written += static_cast<size_t>(put);
    return written == big.size();
  }));
  ASSERT_EQ(write(container.err.get(), "err", 3), 3);
  bool is_drained = false;
  stdio_->OnOutputDrained([&] { is_drained = true; });
  container = {};
  ASSERT_TRUE(RunUntil([&] { return is_drained; }));
  const std::string log = *base::ReadFile(dir_ / "a/b/log", 200'000);
  EXPECT_EQ(log.size(), big.size() + 3);
  EXPECT_NE(log.find("err"), std::string::npos);
}

TEST_F(StdioTest, AFullDiskDoesNotHangTheContainer) {
  Open("", "/dev/full", "");
  FakeContainer container = Spawn();
  fcntl(container.out.get(), F_SETFL, O_NONBLOCK);
  const std::string big = Pattern(1 << 20);
  size_t written = 0;
  EXPECT_TRUE(RunUntil([&] {
    const ssize_t put = write(container.out.get(), big.data() + written, big.size() - written);
    if (put > 0) written += static_cast<size_t>(put);
    return written == big.size();
  }));
}

TEST_F(StdioTest, StdinEndsOnlyAfterCloseStdinAndTheLastWriter) {
  const std::string in = MakeFifo(dir_, "in");
  Open(in, "", "");
  FakeContainer container = Spawn();
  fcntl(container.in.get(), F_SETFL, O_NONBLOCK);
  std::string got;
  for (const char* text : {"one ", "two "}) {  // a client that comes, goes, and comes again
    const base::UniqueFd writer = OpenFd(in, O_WRONLY | O_NONBLOCK);
    ASSERT_EQ(write(writer.get(), text, 4), 4);
    RunFor(20);
  }
  ASSERT_TRUE(RunUntil([&] { return ReadSome(container.in.get(), got) && got == "one two "; }));

  base::UniqueFd last = OpenFd(in, O_WRONLY | O_NONBLOCK);
  stdio_->CloseStdin();
  stdio_->CloseStdin();
  ASSERT_EQ(write(last.get(), "three", 5), 5);
  RunFor(20);
  EXPECT_TRUE(ReadSome(container.in.get(), got));
  EXPECT_EQ(got, "one two three");
  last.Reset();
  EXPECT_TRUE(ReadUntilEof(container.in.get(), got));
}

TEST_F(StdioTest, StdinWrittenAndClosedBeforeTheStartArrives) {
  const std::string in = MakeFifo(dir_, "in");
  Open(in, "", "");
  {
    const base::UniqueFd writer = OpenFd(in, O_WRONLY | O_NONBLOCK);
    ASSERT_EQ(write(writer.get(), "early", 5), 5);
  }
  stdio_->CloseStdin();
  FakeContainer container = Spawn();
  fcntl(container.in.get(), F_SETFL, O_NONBLOCK);
  std::string got;
  EXPECT_TRUE(ReadUntilEof(container.in.get(), got));
  EXPECT_EQ(got, "early");
}

TEST_F(StdioTest, AMegabyteOfStdinWaitsForASlowContainer) {
  const std::string in = MakeFifo(dir_, "in");
  Open(in, "", "");
  FakeContainer container = Spawn();
  fcntl(container.in.get(), F_SETFL, O_NONBLOCK);
  base::UniqueFd writer = OpenFd(in, O_WRONLY | O_NONBLOCK);
  stdio_->CloseStdin();
  const std::string sent = Pattern(1 << 20);
  size_t written = 0;
  std::string got;
  bool is_open = true;
  ASSERT_TRUE(RunUntil([&] {
    if (writer.is_open()) {
      const ssize_t put = write(writer.get(), sent.data() + written, sent.size() - written);
      if (put > 0) written += static_cast<size_t>(put);
      if (written == sent.size()) writer.Reset();
    }
    is_open = ReadSome(container.in.get(), got);
    return !is_open;
  }));
  EXPECT_EQ(got, sent);
}

TEST_F(StdioTest, StdinOfAContainerThatIsGoneEndsTheCopy) {
  const std::string in = MakeFifo(dir_, "in");
  Open(in, "", "");
  Spawn();
  const base::UniqueFd writer = OpenFd(in, O_WRONLY | O_NONBLOCK);
  ASSERT_EQ(write(writer.get(), "x", 1), 1);
  EXPECT_TRUE(RunUntil([&] { return write(writer.get(), "x", 1) < 0 && errno == EPIPE; }));
  stdio_->CloseStdin();
  stdio_->ProcessExited();
}

TEST_F(StdioTest, StdinFromAFileIsPassedOnDirectly) {
  ASSERT_TRUE(base::ReplaceFile(dir_ / "input", "text", 0600, false));
  Open(dir_ / "input", "", "");
  FakeContainer container = Spawn();
  std::string got;
  EXPECT_TRUE(ReadSome(container.in.get(), got));
  EXPECT_EQ(got, "text");
}

TEST_F(StdioTest, NothingIsLeftOpen) {
  const std::string in = MakeFifo(dir_, "in");
  const std::string out = MakeFifo(dir_, "out");
  RunFor(1);
  const size_t before = OpenDescriptors();
  for (int i = 0; i < 10; ++i) {
    Open(in, out, out);
    if (i % 2 == 0) Spawn();
    stdio_->Close();
    stdio_.reset();
    StdioRequest request;
    request.stdin_uri = in;
    request.stdout_uri = out;
    request.stderr_uri = dir_ / "missing";
    const auto failed = Stdio::Open(loop(), request);
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code(), base::Code::kNotFound);
  }
  EXPECT_EQ(OpenDescriptors(), before);
}

TEST_F(StdioTest, TheDrainedCallbackMayDestroyTheObject) {
  Open("", MakeFifo(dir_, "out"), "");
  FakeContainer container = Spawn();
  stdio_->OnOutputDrained([&] { stdio_.reset(); });
  container = {};
  EXPECT_TRUE(RunUntil([&] { return stdio_ == nullptr; }));
}

TEST_F(StdioTest, PipesBelongToTheUserOfTheContainer) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to change owners";
  StdioRequest request;
  request.stdin_uri = MakeFifo(dir_, "in");
  request.stdout_uri = MakeFifo(dir_, "out");
  request.stderr_uri = MakeFifo(dir_, "err");
  request.io_uid = 1234;
  request.io_gid = 2345;
  const auto stdio = Stdio::Open(loop(), request);
  ASSERT_TRUE(stdio);
  ASSERT_EQ((*stdio)->ChildDescriptors().size(), 3U);
  for (const auto& entry : (*stdio)->ChildDescriptors()) {
    struct stat info {};
    ASSERT_EQ(fstat(entry.first, &info), 0);
    EXPECT_EQ(info.st_uid, 1234U);
    EXPECT_EQ(info.st_gid, 2345U);
  }
}

}  // namespace
}  // namespace bulwark::shim
