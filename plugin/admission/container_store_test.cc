#include "plugin/admission/container_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace bulwark::admission {
namespace {

using base::Code;
using ::testing::HasSubstr;
using ::testing::Not;

class ContainerStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/container_store_test.XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    directory_ = name;
    path_ = directory_ + "/state.db";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  void Execute(const char* sql) {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(database);
    sqlite3_close(database);
  }
  static AdmittedContainer Container(const std::string& decision) {
    AdmittedContainer container;
    container.containerd_namespace = "k8s.io";
    container.id = "c1";
    container.decision_id = decision;
    container.image.reference = "r.corp/app:1";
    return container;
  }

  std::string directory_;
  std::string path_;
};

TEST_F(ContainerStoreTest, WhatWasPutIsThereAfterARestart) {
  ASSERT_TRUE(ContainerStore::Open(path_).value()->Put(Container("d-1")));
  const auto store = ContainerStore::Open(path_).value();
  EXPECT_EQ(store->Get("k8s.io", "c1").value().image.reference, "r.corp/app:1");
  EXPECT_EQ(store->Get("default", "c1").error().code(), Code::kNotFound);
}

TEST_F(ContainerStoreTest, RemovesOnlyTheIncarnationThatIsMeant) {
  const auto store = ContainerStore::Open(path_).value();
  ASSERT_TRUE(store->Put(Container("new")));
  ASSERT_TRUE(store->Remove("k8s.io", "c1", "old"));
  EXPECT_TRUE(store->Get("k8s.io", "c1"));
  ASSERT_TRUE(store->Remove("k8s.io", "c1", "new"));
  EXPECT_FALSE(store->Get("k8s.io", "c1"));
  ASSERT_TRUE(store->Put(Container("d-3")));
  ASSERT_TRUE(store->Remove("k8s.io", "c1", ""));
  EXPECT_FALSE(store->Get("k8s.io", "c1"));
}

TEST_F(ContainerStoreTest, ANewerVersionIsRefusedAndLeftAsItIs) {
  ASSERT_TRUE(ContainerStore::Open(path_));
  Execute("PRAGMA user_version = 2");
  for (int i = 0; i < 2; ++i) {
    const auto refused = ContainerStore::Open(path_);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Code::kFailedPrecondition);
    EXPECT_THAT(refused.error().message(), HasSubstr("has version 2"));
  }
}

TEST_F(ContainerStoreTest, OnlyAFileThatIsNoDatabaseIsToBeMovedAway) {
  std::ofstream(path_) << std::string(4096, 'x');
  const auto refused = ContainerStore::Open(path_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::kDataLoss);
  EXPECT_THAT(refused.error().message(), HasSubstr("move it away"));
}

TEST_F(ContainerStoreTest, ALockedDatabaseIsNotToBeMovedAway) {
  ASSERT_TRUE(ContainerStore::Open(path_));
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; DELETE FROM containers", nullptr,
                         nullptr, nullptr),
            SQLITE_OK);
  const auto refused = ContainerStore::Open(path_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::kUnavailable) << refused.error().message();
  EXPECT_THAT(refused.error().message(), Not(HasSubstr("move it away")));
  sqlite3_close(other);
}

}  // namespace
}  // namespace bulwark::admission
