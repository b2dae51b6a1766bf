#include "lib/base/file_io.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

namespace bulwark::base {
namespace {

class FileIoTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/bulwark-file-io-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    dir_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  std::string Path(const std::string& name) const { return dir_ + "/" + name; }
  void Put(const std::string& name, const std::string& text) const {
    ASSERT_TRUE(ReplaceFile(Path(name), text, 0644, false));
  }

  std::string dir_;
};

TEST_F(FileIoTest, ReadFileReturnsEveryByte) {
  const std::string text("a\0b\n", 4);
  Put("f", text);
  EXPECT_EQ(ReadFile(Path("f"), 4).value(), text);
  Put("empty", "");
  EXPECT_EQ(ReadFile(Path("empty"), 0).value(), "");
  const std::string large(100'000, 'x');
  Put("large", large);
  EXPECT_EQ(ReadFile(Path("large"), large.size()).value(), large);
}

TEST_F(FileIoTest, ReadFileRefusesMoreThanItsBound) {
  Put("f", "12345");
  EXPECT_EQ(ReadFile(Path("f"), 4).error().code(), Code::kResourceExhausted);
}

TEST_F(FileIoTest, ReadFileRefusesWhatIsNoRegularFileWithoutWaiting) {
  EXPECT_EQ(ReadFile(Path("absent"), 9).error().code(), Code::kNotFound);
  EXPECT_EQ(ReadFile(dir_, 9).error().code(), Code::kInvalidArgument);
  ASSERT_EQ(mkfifo(Path("fifo").c_str(), 0600), 0);
  EXPECT_EQ(ReadFile(Path("fifo"), 9).error().code(), Code::kInvalidArgument);
}

TEST_F(FileIoTest, ReadFileBeneathRefusesSymlinksAndEscapes) {
  ASSERT_TRUE(MakeDirectories(Path("in/sub"), 0755));
  Put("outside", "secret");
  Put("in/sub/f", "fine");
  ASSERT_EQ(symlink("sub/f", Path("in/link").c_str()), 0);
  ASSERT_EQ(symlink("sub", Path("in/dirlink").c_str()), 0);
  const UniqueFd dir = OpenDirectory(Path("in")).value();
  EXPECT_EQ(ReadFileBeneath(dir, "sub/f", 9).value(), "fine");
  EXPECT_EQ(ReadFileBeneath(dir, "link", 9).error().os_errno(), ELOOP);
  EXPECT_EQ(ReadFileBeneath(dir, "dirlink/f", 9).error().os_errno(), ELOOP);
  EXPECT_EQ(ReadFileBeneath(dir, "../outside", 9).error().os_errno(), EXDEV);
  EXPECT_EQ(ReadFileBeneath(dir, Path("outside"), 9).error().os_errno(), EXDEV);
  EXPECT_EQ(ReadFileBeneath(dir, "absent", 9).error().code(), Code::kNotFound);
}

TEST_F(FileIoTest, ReadAllReadsAPipeToItsEndWithinItsBound) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{4096}, size_t{200'000}}) {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    const UniqueFd reader(ends[0]);
    std::thread writer([size, fd = ends[1]] {
      const UniqueFd owner(fd);
      EXPECT_TRUE(WriteAll(fd, std::string(size, 'p')));
    });
    EXPECT_EQ(ReadAll(reader.get(), 200'000).value().size(), size);
    writer.join();
  }
  const UniqueFd zero(open("/dev/zero", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(ReadAll(zero.get(), 10'000).error().code(), Code::kResourceExhausted);
}

TEST_F(FileIoTest, PseudoFilesAreReadThoughTheirSizeIsZero) {
  EXPECT_NE(ReadPseudoFile("/proc/self/status", 1 << 16).value().find("Pid:"), std::string::npos);
  EXPECT_EQ(ReadPseudoFile("/proc/self/status", 3).error().code(), Code::kResourceExhausted);
}

TEST_F(FileIoTest, ReplaceFileSetsContentAndModeAndLeavesNothingElse) {
  const mode_t old_mask = umask(077);
  ASSERT_TRUE(ReplaceFile(Path("f"), "one", 0600, true));
  ASSERT_TRUE(ReplaceFile(Path("f"), "two", 0644, true));
  umask(old_mask);
  EXPECT_EQ(ReadFile(Path("f"), 9).value(), "two");
  struct stat info {};
  ASSERT_EQ(stat(Path("f").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0644U);
  EXPECT_EQ(ListDirectory(dir_, 9).value(), std::vector<std::string>{"f"});
}

TEST_F(FileIoTest, ReplaceFileNeverWritesThroughASymlinkInItsPlace) {
  Put("victim", "untouched");
  ASSERT_EQ(symlink("victim", Path("f").c_str()), 0);
  ASSERT_EQ(symlink("victim", fmt::format("{}.tmp.{}", Path("f"), getpid()).c_str()), 0);
  ASSERT_TRUE(ReplaceFile(Path("f"), "new", 0600, false));
  EXPECT_EQ(ReadFile(Path("victim"), 99).value(), "untouched");
  EXPECT_FALSE(std::filesystem::is_symlink(Path("f")));
}

TEST_F(FileIoTest, AFailedReplaceLeavesTheOldFileAndNoTemporaryOne) {
  ASSERT_TRUE(MakeDirectories(Path("f/sub"), 0755));
  EXPECT_FALSE(ReplaceFile(Path("f"), "new", 0600, false));
  EXPECT_EQ(ListDirectory(dir_, 9).value(), std::vector<std::string>{"f"});
  EXPECT_EQ(ReplaceFile(Path("absent/f"), "", 0600, false).error().code(), Code::kNotFound);
}

TEST_F(FileIoTest, MakeDirectoriesMakesWhatIsMissingOnly) {
  ASSERT_TRUE(MakeDirectories(Path("a"), 0755));
  ASSERT_TRUE(MakeDirectories(Path("a/b/c/"), 0700));
  struct stat info {};
  ASSERT_EQ(stat(Path("a").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0755U);
  ASSERT_EQ(stat(Path("a/b/c").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0700U);
  ASSERT_TRUE(MakeDirectories("/", 0755));
  Put("file", "");
  EXPECT_EQ(MakeDirectories(Path("file"), 0755).error().os_errno(), ENOTDIR);
  EXPECT_FALSE(MakeDirectories("", 0755));
}

TEST_F(FileIoTest, ListDirectoryIsSortedAndBounded) {
  for (const char* name : {"c", "a", "b"}) Put(name, "");
  EXPECT_EQ(ListDirectory(dir_, 3).value(), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(ListDirectory(dir_, 2).error().code(), Code::kResourceExhausted);
  EXPECT_EQ(ListDirectory(Path("absent"), 2).error().code(), Code::kNotFound);
}

TEST_F(FileIoTest, PathExistsFollowsTheTree) {
  EXPECT_TRUE(PathExists(dir_));
  EXPECT_FALSE(PathExists(Path("absent")));
}

TEST_F(FileIoTest, WriteAllReportsAFullDevice) {
  const UniqueFd full(open("/dev/full", O_WRONLY | O_CLOEXEC));
  EXPECT_EQ(WriteAll(full.get(), "x").error().os_errno(), ENOSPC);
}

}  // namespace
}  // namespace bulwark::base
