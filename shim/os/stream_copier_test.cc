#include "shim/os/stream_copier.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "lib/base/file_io.h"
#include "shim/os/test_support.h"

namespace bulwark::shim {
namespace {

using testing::LoopFixture;
using testing::OpenFd;
using testing::TempDir;

class StreamCopierTest : public ::testing::Test, protected LoopFixture {
 protected:
  TempDir dir_;
};

// Lets a file grow to `bytes` only: a write that goes beyond is short, the next one fails.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() { setrlimit(RLIMIT_FSIZE, &before_); }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
};

TEST_F(StreamCopierTest, AShortWriteToARegularFileDoesNotEndTheCopy) {
  // The last of the sixteen steps of a turn is the short one: the first finds that a file opened
  // for appending cannot be spliced to, the others copy 8 KiB each.
  constexpr size_t kFits = 14 * 8192 + 100;
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  base::UniqueFd write_end(ends[1]);
  ASSERT_GE(fcntl(write_end.get(), F_SETPIPE_SZ, 256 * 1024), 256 * 1024);
  const std::string sent(200'000, 'x');
  ASSERT_EQ(write(write_end.get(), sent.data(), sent.size()), static_cast<ssize_t>(sent.size()));
  write_end.Reset();

  StreamCopier::Source source;
  source.fd.Reset(ends[0]);
  StreamCopier::Sink sink;
  sink.fd = OpenFd(dir_ / "log", O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK);
  bool is_done = false;
  StreamCopier copier(loop(), std::move(source), std::move(sink), [&] { is_done = true; });
  {
    const FileSizeLimit limit(kFits);
    copier.Start();
    RunUntil([&] { return is_done; }, 2'000);
  }
  EXPECT_TRUE(is_done);  // the rest was read and dropped
  EXPECT_EQ(base::ReadFile(dir_ / "log", 1 << 20).value().size(), kFits);
}

}  // namespace
}  // namespace bulwark::shim
