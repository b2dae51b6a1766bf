#include "shim/link/spool.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <fstream>

#include "lib/base/file_io.h"
#include "lib/journal/journal_format.h"

namespace bulwark::shim {
namespace {

v1::LifecycleEvent Event(const std::string& source, uint64_t seq) {
  v1::LifecycleEvent event;
  event.set_source_id(source);
  event.set_source_seq(seq);
  return event;
}

class SpoolTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "spool.XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    directory_ = name;
    spool_ = directory_ + "/lib/spool";
  }
  std::vector<uint64_t> Spooled(const std::string& source) {
    std::vector<uint64_t> sequence;
    const auto journal = journal::ReadJournal(spool_ + "/" + source + ".journal");
    if (!journal) return sequence;
    for (const auto& event : journal->events) sequence.push_back(event.source_seq());
    return sequence;
  }

  std::string directory_;
  std::string spool_;
};

using Sequence = std::vector<uint64_t>;

TEST_F(SpoolTest, WritesOneFileForEachSourceThatOnlyTheOwnerReads) {
  ASSERT_TRUE(SpoolEvents({Event("a", 1), Event("b", 7), Event("a", 2)}, spool_).has_value());
  EXPECT_EQ(Spooled("a"), (Sequence{1, 2}));
  EXPECT_EQ(Spooled("b"), (Sequence{7}));
  struct stat info {};
  ASSERT_EQ(stat((spool_ + "/a.journal").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  ASSERT_EQ(stat(spool_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
}

TEST_F(SpoolTest, ExtendsAnEarlierFileByWhatItLacks) {
  ASSERT_TRUE(SpoolEvents({Event("a", 1), Event("a", 2)}, spool_).has_value());
  ASSERT_TRUE(SpoolEvents({Event("a", 2), Event("a", 3)}, spool_).has_value());
  EXPECT_EQ(Spooled("a"), (Sequence{1, 2, 3}));
}

TEST_F(SpoolTest, KeepsTheFileInOrderWhenTheEarlierEventComesLater) {
  ASSERT_TRUE(SpoolEvents({Event("a", 2)}, spool_).has_value());
  ASSERT_TRUE(SpoolEvents({Event("a", 1), Event("a", 3)}, spool_).has_value());
  EXPECT_EQ(Spooled("a"), (Sequence{1, 2, 3}));
}

TEST_F(SpoolTest, SetsADamagedFileAsideInsteadOfReplacingWhatIsBehindTheDamage) {
  ASSERT_TRUE(SpoolEvents({Event("a", 1), Event("a", 2), Event("a", 3)}, spool_).has_value());
  const std::string path = spool_ + "/a.journal";
  std::string bytes = base::ReadFile(path, 1 << 20).value();
  const size_t record = (bytes.size() - journal::kMagic.size()) / 3;
  bytes[journal::kMagic.size() + record + journal::kRecordHeaderBytes] ^= 0x40;
  std::ofstream(path, std::ios::binary) << bytes;
  ASSERT_TRUE(SpoolEvents({Event("a", 4)}, spool_).has_value());
  EXPECT_EQ(Spooled("a"), (Sequence{1, 4}));
  EXPECT_EQ(base::ReadFile(path + ".bad", 1 << 20).value(), bytes);

  std::ofstream(path, std::ios::binary) << "no journal at all";
  ASSERT_TRUE(SpoolEvents({Event("a", 5)}, spool_).has_value());
  EXPECT_EQ(Spooled("a"), (Sequence{5}));
  EXPECT_TRUE(base::PathExists(path + ".bad.2"));
}

TEST_F(SpoolTest, MovesAJournalIntoTheSpool) {
  const std::string path = directory_ + "/bulwark.journal";
  std::string bytes(journal::kMagic);
  bytes +=
      journal::EncodeRecord(Event("a", 1)).value() + journal::EncodeRecord(Event("a", 2)).value();
  std::ofstream(path, std::ios::binary) << bytes + "torn";
  ASSERT_TRUE(SpoolJournal(path, spool_).has_value());
  EXPECT_EQ(Spooled("a"), (Sequence{1, 2}));
  EXPECT_FALSE(base::PathExists(path));
  EXPECT_TRUE(SpoolJournal(path, spool_).has_value()) << "a journal that is gone is no error";
}

TEST_F(SpoolTest, KeepsACopyOfAJournalThatIsDamagedBeforeItsEnd) {
  const std::string path = directory_ + "/bulwark.journal";
  const std::string bytes = std::string(journal::kMagic) +
                            journal::EncodeRecord(Event("a", 1)).value() + "damaged!damaged!" +
                            journal::EncodeRecord(Event("a", 2)).value();
  std::ofstream(path, std::ios::binary) << bytes;
  ASSERT_TRUE(SpoolJournal(path, spool_).has_value());
  EXPECT_EQ(Spooled("a"), (Sequence{1}));
  EXPECT_EQ(base::ReadFile(spool_ + "/a.bundle.bad", 1 << 20).value(), bytes);
  EXPECT_FALSE(base::PathExists(path));
}

TEST_F(SpoolTest, NeverLetsASourceIdLeaveTheDirectory) {
  for (const char* bad : {"", "../x", "a/b", ".", "a.b", "a b"}) {
    EXPECT_EQ(SpoolEvents({Event(bad, 1)}, spool_).error().code(), base::Code::kInvalidArgument)
        << bad;
  }
  EXPECT_FALSE(SpoolEvents({Event(std::string(65, 'a'), 1)}, spool_).has_value());
}

TEST_F(SpoolTest, KeepsTheJournalWhenTheSpoolCannotBeWritten) {
  std::ofstream(directory_ + "/lib") << "a file where the directory should be";
  const std::string path = directory_ + "/bulwark.journal";
  std::ofstream(path, std::ios::binary)
      << std::string(journal::kMagic) + journal::EncodeRecord(Event("a", 1)).value();
  EXPECT_FALSE(SpoolJournal(path, spool_).has_value());
  EXPECT_TRUE(base::PathExists(path));
}

TEST(SpoolDirectory, ComesFromTheEnvironment) {
  setenv("BULWARK_SPOOL_DIR", "/somewhere", 1);
  EXPECT_EQ(SpoolDirectoryFromEnvironment(), "/somewhere");
  unsetenv("BULWARK_SPOOL_DIR");
  EXPECT_EQ(SpoolDirectoryFromEnvironment(), "/var/lib/bulwark/spool");
}

}  // namespace
}  // namespace bulwark::shim
