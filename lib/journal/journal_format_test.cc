#include "lib/journal/journal_format.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

namespace bulwark::journal {
namespace {

v1::LifecycleEvent Event(uint64_t seq) {
  v1::LifecycleEvent event;
  event.set_source_id("0123456789abcdef0123456789abcdef");
  event.set_source_seq(seq);
  event.set_kind(v1::CONTAINER_EXITED);
  event.set_container_id("c1");
  event.set_exit_status(137);
  return event;
}

std::string File(uint64_t count) {
  std::string bytes(kMagic);
  for (uint64_t seq = 1; seq <= count; ++seq) bytes += EncodeRecord(Event(seq)).value();
  return bytes;
}

// RFC 3720, B.4.
TEST(Crc32c, GivesTheValuesOfTheRfc) {
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(Crc32c("6789", Crc32c("12345")), 0xe3069283u);
}

TEST(JournalFormat, ReadsBackWhatWasWritten) {
  const auto journal = DecodeJournal(File(3));
  ASSERT_TRUE(journal.has_value());
  ASSERT_EQ(journal->events.size(), 3u);
  EXPECT_EQ(journal->events[2].source_seq(), 3u);
  EXPECT_EQ(journal->events[2].exit_status(), 137u);
  EXPECT_EQ(journal->torn_bytes, 0u);
}

TEST(JournalFormat, EveryCutLosesAtMostTheRecordItFellInto) {
  const std::string whole = File(2);
  const size_t first_end = File(1).size();
  for (size_t length = 0; length <= whole.size(); ++length) {
    const auto journal = DecodeJournal(std::string_view(whole).substr(0, length));
    ASSERT_TRUE(journal.has_value()) << length;
    const size_t expected = length == whole.size() ? 2 : length >= first_end ? 1 : 0;
    EXPECT_EQ(journal->events.size(), expected) << length;
    EXPECT_EQ(journal->valid_bytes + journal->torn_bytes, length);
  }
}

TEST(JournalFormat, APartialLastRecordIsNoDamage) {
  const std::string whole = File(3);
  for (size_t length = File(2).size(); length < whole.size(); ++length) {
    EXPECT_FALSE(DecodeJournal(std::string_view(whole).substr(0, length))->is_damaged) << length;
  }
}

TEST(JournalFormat, ABadRecordWithWholeOnesBehindItIsDamage) {
  const std::string whole = File(4);
  // Length bytes included: a length that points behind the end hides whole records too.
  for (size_t at = File(1).size(); at < File(2).size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      const auto journal = DecodeJournal(damaged);
      ASSERT_TRUE(journal);
      EXPECT_EQ(journal->events.size(), 1u);
      EXPECT_TRUE(journal->is_damaged) << at << " bit " << bit;
    }
  }
}

TEST(JournalFormat, SettingAsideReplacesNothing) {
  const std::string path = testing::TempDir() + "journal_set_aside.journal";
  for (const char* suffix : {".bad", ".bad.2"}) unlink((path + suffix).c_str());
  std::ofstream(path) << "first";
  EXPECT_EQ(SetAside(path).value(), path + ".bad");
  std::ofstream(path) << "second";
  EXPECT_EQ(SetAside(path).value(), path + ".bad.2");
  std::ifstream first(path + ".bad");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(first), {}), "first");
  EXPECT_FALSE(SetAside(path));
}

TEST(JournalFormat, AnyFlippedBitInARecordEndsTheReading) {
  const std::string whole = File(2);
  for (size_t at = File(1).size(); at < whole.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      const auto journal = DecodeJournal(damaged);
      ASSERT_TRUE(journal.has_value());
      EXPECT_EQ(journal->events.size(), 1u) << at << "." << bit;
    }
  }
}

TEST(JournalFormat, RefusesFilesThatAreNotJournals) {
  EXPECT_EQ(DecodeJournal("#!/bin/sh\necho").error().code(), base::Code::kInvalidArgument);
  EXPECT_EQ(DecodeJournal("#!").error().code(), base::Code::kInvalidArgument);
  EXPECT_EQ(DecodeJournal(std::string(kJournalBytesMax + 1, 'x')).error().code(),
            base::Code::kResourceExhausted);
}

TEST(JournalFormat, RefusesToWriteWhatItWouldNotRead) {
  v1::LifecycleEvent large = Event(1);
  large.set_detail(std::string(kRecordBytesMax, 'x'));
  EXPECT_EQ(EncodeRecord(large).error().code(), base::Code::kResourceExhausted);
  EXPECT_EQ(EncodeRecord(v1::LifecycleEvent()).error().code(), base::Code::kInvalidArgument);
}

TEST(JournalFormat, ReadsAFileByPathAndNamesItInErrors) {
  const std::string path = testing::TempDir() + "journal_format_test.journal";
  std::ofstream(path, std::ios::binary) << File(4);
  EXPECT_EQ(ReadJournal(path).value().events.size(), 4u);
  std::ofstream(path, std::ios::binary) << "something else";
  const auto refused = ReadJournal(path);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message().find(path), std::string::npos);
  EXPECT_EQ(ReadJournal(path + ".absent").error().code(), base::Code::kNotFound);
}

}  // namespace
}  // namespace bulwark::journal
