#include "plugin/policy/policy_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>

#include "lib/base/file_io.h"
#include "plugin/policy/policy_test_support.h"

namespace bulwark::policy {
namespace {

using ::testing::HasSubstr;

class PolicyStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/bulwark-policy-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    directory_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  void Write(const std::string& name, const std::string& text, mode_t mode = 0644) {
    const std::string path = directory_ + "/" + name;
    ASSERT_TRUE(base::ReplaceFile(path, text, mode, false).has_value());
    ASSERT_EQ(chmod(path.c_str(), mode), 0);
  }

  static std::string RuleNamed(const std::string& name) {
    return WithHead("rules:\n  - {name: " + name + ", match: {images: [\"a.corp/" + name + "\"]}}\n");
  }

  std::string directory_;
};

TEST_F(PolicyStoreTest, BeforeTheFirstLoadEverythingIsDenied) {
  PolicyStore store(directory_);
  ASSERT_NE(store.Current(), nullptr);
  EXPECT_EQ(store.Current()->defaults().action, Action::kDeny);
  EXPECT_THAT(store.last_error(), HasSubstr("no policy was loaded"));
}

TEST_F(PolicyStoreTest, LoadsEveryYamlFileAndNothingElse) {
  Write("b.yaml", RuleNamed("b"));
  Write("a.yml", RuleNamed("a"));
  Write(".hidden.yaml", "broken: [");
  Write("a.yaml.bak", "broken: [");
  Write("notes.txt", "broken: [");
  PolicyStore store(directory_);
  ASSERT_TRUE(store.Reload()) << store.last_error();
  EXPECT_EQ(store.Current()->rules().size(), 2U);
  EXPECT_EQ(store.last_error(), "");
}

TEST_F(PolicyStoreTest, ABrokenEditKeepsTheLastGoodSet) {
  Write("a.yaml", RuleNamed("good"));
  PolicyStore store(directory_);
  ASSERT_TRUE(store.Reload());
  const std::string digest = store.Current()->digest();
  Write("a.yaml", WithHead("rulez: []\n"));
  const base::Status status = store.Reload();
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message(), HasSubstr(directory_ + "/a.yaml:3:1: unknown key"));
  EXPECT_EQ(store.last_error(), status.error().message());
  EXPECT_EQ(store.Current()->digest(), digest);
  Write("a.yaml", RuleNamed("better"));
  ASSERT_TRUE(store.Reload());
  EXPECT_EQ(store.last_error(), "");
  EXPECT_EQ(store.Current()->rules().at(0).name, "better");
}

TEST_F(PolicyStoreTest, OneBrokenFileRejectsTheWholeSet) {
  Write("a.yaml", RuleNamed("a"));
  Write("b.yaml", "nonsense");
  PolicyStore store(directory_);
  EXPECT_FALSE(store.Reload());
  EXPECT_TRUE(store.Current()->rules().empty());
}

TEST_F(PolicyStoreTest, FilesOthersMayWriteAreRefused) {
  for (mode_t mode : {mode_t{0664}, mode_t{0646}}) {
    Write("a.yaml", RuleNamed("a"), mode);
    PolicyStore store(directory_);
    const base::Status status = store.Reload();
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code(), base::Code::kPermissionDenied);
    EXPECT_THAT(status.error().message(), HasSubstr("a.yaml"));
  }
}

TEST_F(PolicyStoreTest, ADirectoryOthersMayWriteIsRefused) {
  Write("a.yaml", RuleNamed("a"));
  ASSERT_EQ(chmod(directory_.c_str(), 0777), 0);
  PolicyStore store(directory_);
  EXPECT_EQ(store.Reload().error().code(), base::Code::kPermissionDenied);
}

TEST_F(PolicyStoreTest, FilesOfOtherUsersAreRefused) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to give a file away";
  Write("a.yaml", RuleNamed("a"));
  ASSERT_EQ(chown((directory_ + "/a.yaml").c_str(), 12345, 0), 0);
  PolicyStore store(directory_);
  EXPECT_EQ(store.Reload().error().code(), base::Code::kPermissionDenied);
}

TEST_F(PolicyStoreTest, KeyFilesAreCheckedLikePolicies) {
  const std::string policy = WithHead("authorities: {k: {cosignKey: {files: [k.pub]}}}\n");
  Write("a.yaml", policy);
  Write("k.pub", kKeyA, 0666);
  PolicyStore store(directory_);
  base::Status status = store.Reload();
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message(), HasSubstr("a.yaml:3:39: key of authority k"));
  Write("k.pub", kKeyA);
  EXPECT_TRUE(store.Reload());
}

TEST_F(PolicyStoreTest, AKeyThatTheCheckRefusesRejectsTheSet) {
  Write("a.yaml", WithHead("authorities: {k: {cosignKey: {files: [k.pub]}}}\n"));
  Write("k.pub", kKeyA);
  PolicyStore store(directory_, [](const std::string&) -> base::Status {
    return base::Error::Make(base::Code::kInvalidArgument, "not a key");
  });
  const base::Status status = store.Reload();
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message(), HasSubstr("k.pub: not a key"));
}

TEST_F(PolicyStoreTest, MissingDirectoriesFifosAndLargeFilesAreErrors) {
  PolicyStore absent(directory_ + "/none");
  EXPECT_EQ(absent.Reload().error().code(), base::Code::kNotFound);
  ASSERT_EQ(mkfifo((directory_ + "/a.yaml").c_str(), 0600), 0);
  PolicyStore store(directory_);
  EXPECT_EQ(store.Reload().error().code(), base::Code::kInvalidArgument);
  ASSERT_EQ(unlink((directory_ + "/a.yaml").c_str()), 0);
  Write("a.yaml", std::string(kPolicyFileBytesMax + 1, '#'));
  EXPECT_EQ(store.Reload().error().code(), base::Code::kResourceExhausted);
}

TEST_F(PolicyStoreTest, ReadersSeeWholeSetsWhileItReloads) {
  Write("a.yaml", RuleNamed("a"));
  PolicyStore store(directory_);
  ASSERT_TRUE(store.Reload());
  std::atomic<bool> done = false;
  std::thread reader([&] {
    while (!done) EXPECT_EQ(store.Current()->rules().size(), 1U);
  });
  for (int i = 0; i < 200; ++i) EXPECT_TRUE(store.Reload());
  done = true;
  reader.join();
}

TEST_F(PolicyStoreTest, ASingleFileCanBeReadWithoutOwnershipChecks) {
  Write("a.yaml", RuleNamed("a"), 0666);
  auto files = ReadPolicyFiles(directory_ + "/a.yaml", false);
  ASSERT_TRUE(files) << files.error().message();
  EXPECT_EQ(files->size(), 1U);
}

}  // namespace
}  // namespace bulwark::policy
