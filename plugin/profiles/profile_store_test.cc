#include "plugin/profiles/profile_store.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "lib/oci/digest.h"

namespace bulwark::profiles {
namespace {

using base::Code;

constexpr std::string_view kGood = R"({"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW"}]})";

class ProfileStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/profile_store_test.XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    root_ = name;
    std::filesystem::create_directories(root_ + "/shipped");
    std::filesystem::create_directories(root_ + "/local");
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& name, std::string_view text) {
    std::ofstream(root_ + "/" + name) << text;
  }
  ProfileStore Load() {
    auto store = ProfileStore::Load({root_ + "/shipped", root_ + "/local", root_ + "/absent"});
    EXPECT_TRUE(store.has_value()) << store.error().message();
    return std::move(*store);
  }

  std::string root_;
};

TEST_F(ProfileStoreTest, ServesProfilesWithTheirDigest) {
  Write("shipped/web.json", kGood);
  const auto stored = Load().Get("web");
  ASSERT_TRUE(stored.has_value());
  EXPECT_EQ(stored->digest, oci::Sha256Digest(kGood));
  EXPECT_EQ(stored->profile->rules.size(), 1u);
}

TEST_F(ProfileStoreTest, LaterDirectoryWins) {
  Write("shipped/web.json", R"({"defaultAction":"SCMP_ACT_ERRNO","syscalls":[]})");
  Write("local/web.json", kGood);
  EXPECT_EQ(Load().Get("web")->path, root_ + "/local/web.json");
  EXPECT_EQ(Load().List().size(), 1u);
}

TEST_F(ProfileStoreTest, BrokenOverrideIsNotServedAndHidesTheShippedOne) {
  Write("shipped/web.json", kGood);
  Write("local/web.json", "{");
  const ProfileStore store = Load();
  EXPECT_EQ(store.Get("web").error().code(), Code::kFailedPrecondition);
  EXPECT_FALSE(store.List()[0].error.empty());
}

TEST_F(ProfileStoreTest, ABrokenFileKeepsTheLastGoodProfileOfItsNameAndIsReported) {
  Write("local/web.json", kGood);
  Write("local/db.json", kGood);
  const ProfileStore first = Load();
  Write("local/web.json", "{");
  std::filesystem::remove(root_ + "/local/db.json");
  const auto second = ProfileStore::Load({root_ + "/shipped", root_ + "/local"}, &first);
  ASSERT_TRUE(second.has_value());
  const auto web = second->Get("web");
  ASSERT_TRUE(web.has_value()) << web.error().message();
  EXPECT_EQ(web->digest, oci::Sha256Digest(kGood));
  EXPECT_NE(web->profile, nullptr);
  EXPECT_EQ(web->error_path, root_ + "/local/web.json");
  EXPECT_FALSE(web->error.empty());
  EXPECT_EQ(second->Get("db").error().code(), Code::kNotFound) << "what was removed is gone";
  // It stays for as long as the file is broken, and goes when it is mended.
  const auto third = ProfileStore::Load({root_ + "/shipped", root_ + "/local"}, &*second);
  EXPECT_TRUE(third->Get("web").has_value());
  Write("local/web.json", kGood);
  EXPECT_EQ(ProfileStore::Load({root_ + "/local"}, &*third)->Get("web")->error, "");
}

TEST_F(ProfileStoreTest, RefusesWhatLibseccompCouldHangOn) {
  Write("local/odd.json", R"({"defaultAction":"SCMP_ACT_ERRNO","syscalls":[
    {"names":["ioctl"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":3,"op":"SCMP_CMP_LE"},{"index":1,"value":2,"op":"SCMP_CMP_LT"}]},
    {"names":["ioctl"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":3,"op":"SCMP_CMP_LE"},{"index":1,"value":7,"op":"SCMP_CMP_NE"}]}]})");
  EXPECT_EQ(Load().Get("odd").error().code(), Code::kFailedPrecondition);
}

TEST_F(ProfileStoreTest, FollowsNoSymbolicLinks) {
  Write("outside.json", kGood);
  std::filesystem::create_symlink(root_ + "/outside.json", root_ + "/local/web.json");
  EXPECT_FALSE(Load().Get("web").has_value());
}

TEST_F(ProfileStoreTest, NamesAreValidated) {
  const ProfileStore store = Load();
  for (const char* name : {"", "../web", "a/b", ".hidden", "UPPER"}) {
    EXPECT_EQ(store.Get(name).error().code(), Code::kInvalidArgument) << name;
  }
  EXPECT_EQ(store.Get("web").error().code(), Code::kNotFound);
}

TEST(ShippedProfiles, AllLoad) {
  const auto store = ProfileStore::Load({std::string(BULWARK_SOURCE_DIR) + "/seccomp-profiles"});
  ASSERT_TRUE(store.has_value());
  EXPECT_TRUE(store->Get("baseline").has_value()) << store->Get("baseline").error().message();
  EXPECT_TRUE(store->Get("strict").has_value());
}

}  // namespace
}  // namespace bulwark::profiles
