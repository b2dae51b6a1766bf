#include "shim/link/journal.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "lib/base/file_io.h"
#include "lib/journal/journal_format.h"

namespace bulwark::shim {
namespace {

v1::LifecycleEvent Event(uint64_t seq) {
  v1::LifecycleEvent event;
  event.set_source_id("abc");
  event.set_source_seq(seq);
  event.set_container_id("c1");
  return event;
}

class EventJournalTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "journal.XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  std::string Path() const { return directory_ + "/" + kJournalName; }

  std::string directory_;
};

TEST_F(EventJournalTest, MakesNoFileBeforeTheFirstEvent) {
  const auto journal = EventJournal::Open(Path());
  ASSERT_TRUE(journal.has_value());
  EXPECT_TRUE((*journal)->empty());
  EXPECT_FALSE(base::PathExists(Path()));
}

TEST_F(EventJournalTest, HoldsWhatWasAppendedForTheNextProcess) {
  {
    auto journal = EventJournal::Open(Path());
    for (uint64_t seq = 1; seq <= 3; ++seq) ASSERT_TRUE((*journal)->Append(Event(seq)).has_value());
  }
  auto journal = EventJournal::Open(Path());
  ASSERT_TRUE(journal.has_value());
  EventJournal::Position position;
  const auto first = (*journal)->Read(position, 2);
  ASSERT_TRUE(first.has_value());
  ASSERT_EQ(first->size(), 2u);
  EXPECT_EQ((*first)[1].source_seq(), 2u);
  EXPECT_LT(position.offset, (*journal)->end().offset);
  const auto rest = (*journal)->Read(position, 100);
  ASSERT_EQ(rest->size(), 1u);
  EXPECT_EQ((*rest)[0].source_seq(), 3u);
  EXPECT_TRUE((*journal)->Read(position, 100)->empty());
  struct stat info {};
  ASSERT_EQ(stat(Path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(EventJournalTest, CutsATornRecordSoThatLaterOnesAreReadable) {
  std::string bytes(journal::kMagic);
  bytes += journal::EncodeRecord(Event(1)).value();
  bytes += journal::EncodeRecord(Event(2)).value().substr(0, 11);
  std::ofstream(Path(), std::ios::binary) << bytes;
  {
    auto journal = EventJournal::Open(Path());
    ASSERT_TRUE(journal.has_value());
    ASSERT_TRUE((*journal)->Append(Event(3)).has_value());
  }
  const auto decoded = journal::ReadJournal(Path());
  ASSERT_TRUE(decoded.has_value());
  ASSERT_EQ(decoded->events.size(), 2u);
  EXPECT_EQ(decoded->events[1].source_seq(), 3u);
  EXPECT_EQ(decoded->torn_bytes, 0u);
}

TEST_F(EventJournalTest, IsEmptiedAndUsableAgain) {
  auto journal = EventJournal::Open(Path());
  ASSERT_TRUE((*journal)->Append(Event(1)).has_value());
  ASSERT_TRUE((*journal)->Clear().has_value());
  EXPECT_TRUE((*journal)->empty());
  ASSERT_TRUE((*journal)->Append(Event(2)).has_value());
  EXPECT_EQ(journal::ReadJournal(Path())->events[0].source_seq(), 2u);
  ASSERT_TRUE((*journal)->Remove().has_value());
  EXPECT_FALSE(base::PathExists(Path()));
}

TEST_F(EventJournalTest, BelongsToOneProcessAtATime) {
  auto holder = EventJournal::Open(Path());
  ASSERT_TRUE((*holder)->Append(Event(1)).has_value());
  EXPECT_EQ(EventJournal::Open(Path()).error().code(), base::Code::kFailedPrecondition);
  holder->reset();
  EXPECT_TRUE(EventJournal::Open(Path()).has_value());
}

TEST_F(EventJournalTest, RefusesLinksAndOtherFiles) {
  std::ofstream(directory_ + "/other") << "something else";
  EXPECT_EQ(EventJournal::Open(directory_ + "/other").error().code(), base::Code::kInvalidArgument);
  ASSERT_EQ(symlink("other", Path().c_str()), 0);
  EXPECT_FALSE(EventJournal::Open(Path()).has_value());
}

TEST_F(EventJournalTest, StopsAtItsBound) {
  auto journal = EventJournal::Open(Path());
  v1::LifecycleEvent large = Event(1);
  large.set_detail(std::string(60 * 1024, 'x'));
  base::Status status;
  size_t appended = 0;
  while ((status = (*journal)->Append(large)).has_value()) ++appended;
  EXPECT_EQ(status.error().code(), base::Code::kResourceExhausted);
  EXPECT_GT(appended, 200u);
  EXPECT_EQ(journal::ReadJournal(Path())->events.size(), appended);
}

}  // namespace
}  // namespace bulwark::shim
