#include "plugin/admission/spool_ingester.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include "lib/base/file_io.h"
#include "lib/journal/journal_format.h"

namespace bulwark::admission {
namespace {

class FakeRecorder : public audit::Recorder {
 public:
  void Append(v1::AuditRecord record, audit::Lane lane, Callback done) override { done(AppendDurable(record, lane)); }
  base::Result<audit::Receipt> AppendDurable(v1::AuditRecord record, audit::Lane) override {
    if (is_full) return base::Error(base::Code::kResourceExhausted, "the disk is full");
    recorded.push_back(record.source_id() + ":" + std::to_string(record.source_seq()));
    return audit::Receipt{recorded.size(), {}};
  }

  bool is_full = false;
  std::vector<std::string> recorded;
};

using Strings = std::vector<std::string>;

class SpoolIngesterTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/spool_ingester_test.XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    directory_ = name;
    std::filesystem::create_directory(Path(""));
    containers_ = ContainerStore::Open(directory_ + "/state.db").value();
    lifecycle_ = std::make_unique<LifecycleRecorder>(recorder_, sources_, *containers_);
    spool_ = std::make_unique<SpoolIngester>(directory_ + "/spool", *lifecycle_);
  }
  void TearDown() override {
    spool_.reset();
    lifecycle_.reset();
    containers_.reset();
    std::filesystem::remove_all(directory_);
  }

  std::string Path(const std::string& name) const { return directory_ + "/spool/" + name; }
  bool Exists(const std::string& name) const { return base::PathExists(Path(name)); }
  void Write(const std::string& name, const std::string& bytes) { std::ofstream(Path(name), std::ios::binary) << bytes; }
  static std::string Journal(const std::string& source, const std::vector<uint64_t>& sequence) {
    std::string bytes(journal::kMagic);
    for (const uint64_t seq : sequence) {
      v1::LifecycleEvent event;
      event.set_source_id(source);
      event.set_source_seq(seq);
      event.set_kind(v1::CONTAINER_EXITED);
      event.set_container_id("c1");
      bytes += journal::EncodeRecord(event).value();
    }
    return bytes;
  }
  static std::string WithDamagedSecondRecord(std::string bytes, size_t records) {
    const size_t record = (bytes.size() - journal::kMagic.size()) / records;
    char& hit = bytes[journal::kMagic.size() + record + journal::kRecordHeaderBytes + 2];
    hit = static_cast<char>(hit ^ 0x40);
    return bytes;
  }

  std::string directory_;
  FakeRecorder recorder_;
  audit::SourceIndex sources_;
  std::unique_ptr<ContainerStore> containers_;
  std::unique_ptr<LifecycleRecorder> lifecycle_;
  std::unique_ptr<SpoolIngester> spool_;
};

TEST_F(SpoolIngesterTest, RecordsAndRemovesWhatIsThere) {
  Write("a.journal", Journal("a", {1, 2}));
  Write("note.txt", "not ours");
  EXPECT_EQ(spool_->IngestOnce().value(), 2u);
  EXPECT_EQ(recorder_.recorded, (Strings{"a:1", "a:2"}));
  EXPECT_FALSE(Exists("a.journal"));
  EXPECT_TRUE(Exists("note.txt"));
}

TEST_F(SpoolIngesterTest, ABadFileDoesNotKeepTheNextOnesBack) {
  Write("a.journal", "no journal at all");
  std::ofstream(Path("b.journal")).close();
  std::filesystem::resize_file(Path("b.journal"), journal::kJournalBytesMax + 1);
  std::filesystem::create_directory(Path("c.journal"));
  Write("d.journal", Journal("d", {1}));
  EXPECT_EQ(spool_->IngestOnce().value(), 1u);
  EXPECT_EQ(recorder_.recorded, (Strings{"d:1"}));
  EXPECT_TRUE(Exists("a.journal.bad"));
  EXPECT_TRUE(Exists("b.journal.bad"));
  EXPECT_EQ(spool_->IngestOnce().value(), 0u);
}

TEST_F(SpoolIngesterTest, AFileDamagedInTheMiddleIsKeptForPeople) {
  const std::string damaged = WithDamagedSecondRecord(Journal("a", {1, 2, 3}), 3);
  Write("a.journal", damaged);
  EXPECT_EQ(spool_->IngestOnce().value(), 1u);
  EXPECT_EQ(recorder_.recorded, (Strings{"a:1"}));
  EXPECT_FALSE(Exists("a.journal"));
  EXPECT_EQ(base::ReadFile(Path("a.journal.bad"), 1 << 20).value(), damaged);
}

TEST_F(SpoolIngesterTest, APartialLastRecordIsWhatADyingShimLeaves) {
  const std::string whole = Journal("a", {1, 2});
  Write("a.journal", whole.substr(0, whole.size() - 3));
  EXPECT_EQ(spool_->IngestOnce().value(), 1u);
  EXPECT_FALSE(Exists("a.journal"));
  EXPECT_FALSE(Exists("a.journal.bad"));
}

TEST_F(SpoolIngesterTest, EventsOutOfOrderAreRecordedInOrderAndOnce) {
  Write("a.journal", Journal("a", {3, 1, 2, 3}));
  EXPECT_EQ(spool_->IngestOnce().value(), 3u);
  EXPECT_EQ(recorder_.recorded, (Strings{"a:1", "a:2", "a:3"}));
}

TEST_F(SpoolIngesterTest, WhatCannotBeRecordedNowStaysForTheNextPass) {
  Write("a.journal", Journal("a", {1}));
  recorder_.is_full = true;
  EXPECT_EQ(spool_->IngestOnce().value(), 0u);
  EXPECT_TRUE(Exists("a.journal"));
  recorder_.is_full = false;
  EXPECT_EQ(spool_->IngestOnce().value(), 1u);
  EXPECT_FALSE(Exists("a.journal"));
}

}  // namespace
}  // namespace bulwark::admission
