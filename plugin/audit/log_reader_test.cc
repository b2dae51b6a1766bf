#include "plugin/audit/log_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "plugin/audit/source_index.h"
#include "plugin/audit/test_log.h"

namespace bulwark::audit {
namespace {

class LogReaderTest : public testing::Test {
 protected:
  void SetUp() override {
    log_ = OpenOrFail(SmallLog(scratch_.path()));
    for (int i = 0; i < 500; ++i) {
      v1::AuditRecord record = Decision(std::to_string(i));
      if (i % 100 == 0) record.set_outcome(v1::ALLOWED);
      record.set_source_id("shim-" + std::to_string(i % 3));
      record.set_source_seq(static_cast<uint64_t>(i));
      ASSERT_TRUE(log_->AppendDurable(std::move(record), Lane::kGate));
    }
    ASSERT_GE(SegmentPaths(scratch_.path()).size(), 2u);
  }

  static std::vector<uint64_t> Sequences(const std::vector<StoredRecord>& records) {
    std::vector<uint64_t> sequences;
    for (const StoredRecord& stored : records) sequences.push_back(stored.record.sequence());
    return sequences;
  }

  const ScratchDirectory scratch_;
  std::unique_ptr<AuditLog> log_;
};

TEST_F(LogReaderTest, ReadsFromASequenceToTheEnd) {
  ReadOptions options;
  options.from_sequence = 450;
  const auto sequences = Sequences(ReadAll(scratch_.path(), options));
  ASSERT_EQ(sequences.size(), 52u);
  EXPECT_EQ(sequences.front(), 450u);
  EXPECT_EQ(sequences.back(), 501u);
}

TEST_F(LogReaderTest, ReadsTheLastMatchingRecordsAcrossSegments) {
  ReadOptions options;
  options.last = 3;
  options.filter.outcome = "ALLOWED";
  EXPECT_THAT(Sequences(ReadAll(scratch_.path(), options)), testing::ElementsAre(202, 302, 402));
  options.filter = {};
  options.last = 2;
  EXPECT_THAT(Sequences(ReadAll(scratch_.path(), options)), testing::ElementsAre(500, 501));
  options.last = 100000;
  EXPECT_EQ(ReadAll(scratch_.path(), options).size(), 501u);
}

TEST_F(LogReaderTest, FiltersByEachField) {
  const auto count = [&](RecordFilter filter) {
    ReadOptions options;
    options.filter = std::move(filter);
    return ReadAll(scratch_.path(), options).size();
  };
  RecordFilter filter;
  filter.container_id = "container-17";
  EXPECT_EQ(count(filter), 1u);
  filter = {};
  filter.event_type = "AUDIT_START";
  EXPECT_EQ(count(filter), 1u);
  filter = {};
  filter.image = "app:49";
  EXPECT_EQ(count(filter), 11u);
  filter = {};
  filter.decision_id = "5";
  EXPECT_EQ(count(filter), 1u);
  filter = {};
  filter.until_wall_ns = 1;
  EXPECT_EQ(count(filter), 0u);
}

TEST_F(LogReaderTest, FollowSeesRecordsAsTheyBecomeDurable) {
  ReadOptions options;
  options.last = 1;
  auto reader = LogReader::Open(scratch_.path(), options, log_.get());
  ASSERT_TRUE(reader);
  auto first = (*reader)->NextOrWait(1000);
  ASSERT_TRUE(first && *first);
  EXPECT_EQ((*first)->record.sequence(), 501u);
  auto nothing = (*reader)->NextOrWait(20);
  ASSERT_TRUE(nothing);
  EXPECT_FALSE(nothing->has_value());
  std::thread producer([&] {
    for (int i = 0; i < 300; ++i) ASSERT_TRUE(log_->AppendDurable(Decision("new"), Lane::kGate));
  });
  for (uint64_t due = 502; due < 802; ++due) {
    auto next = (*reader)->NextOrWait(5000);
    ASSERT_TRUE(next) << next.error().message();
    ASSERT_TRUE(next->has_value());
    EXPECT_EQ((*next)->record.sequence(), due);
  }
  producer.join();
}

TEST_F(LogReaderTest, FollowWithoutTheLogPollsTheDirectory) {
  ReadOptions options;
  options.from_sequence = 502;
  auto reader = LogReader::Open(scratch_.path(), options, nullptr);
  ASSERT_TRUE(reader);
  ASSERT_TRUE(log_->AppendDurable(Decision("new"), Lane::kGate));
  auto next = (*reader)->NextOrWait(5000);
  ASSERT_TRUE(next && *next);
  EXPECT_EQ((*next)->record.decision_id(), "new");
}

TEST_F(LogReaderTest, ReaderOfALiveLogSurvivesAFailedWrite) {
  const ScratchDirectory scratch;
  FaultyStorage storage;
  AuditLogOptions log_options = SmallLog(scratch.path());
  log_options.storage = &storage;
  auto log = OpenOrFail(log_options);
  auto reader = LogReader::Open(scratch.path(), {}, log.get());
  ASSERT_TRUE(reader);
  for (int i = 0; i < 20; ++i) {
    if (i % 5 == 0) storage.failing_syncs = 1;
    ASSERT_TRUE(log->AppendDurable(Decision(std::to_string(i)), Lane::kGate));
  }
  std::vector<std::string> ids;
  for (;;) {
    auto next = (*reader)->NextOrWait(50);
    ASSERT_TRUE(next) << next.error().message();
    if (!*next) break;
    if ((*next)->record.event_type() == v1::CREATE_DECISION)
      ids.push_back((*next)->record.decision_id());
  }
  ASSERT_EQ(ids.size(), 20u);
  for (size_t i = 0; i < ids.size(); ++i) EXPECT_EQ(ids[i], std::to_string(i));
}

TEST_F(LogReaderTest, BadRequestsAreRefused) {
  ReadOptions options;
  options.last = 1;
  options.from_sequence = 1;
  EXPECT_FALSE(LogReader::Open(scratch_.path(), options, nullptr));
  const ScratchDirectory empty;
  auto absent = LogReader::Open(empty.path(), {}, nullptr);
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code(), base::Code::kNotFound);
}

TEST_F(LogReaderTest, SourceIndexIsRebuiltFromTheLog) {
  auto index = SourceIndex::Rebuild(scratch_.path());
  ASSERT_TRUE(index);
  EXPECT_EQ((*index)->size(), 3u);
  EXPECT_EQ((*index)->HighestSeen("shim-0"), 498u);
  EXPECT_EQ((*index)->HighestSeen("shim-1"), 499u);
  EXPECT_EQ((*index)->HighestSeen("shim-9"), 0u);
  auto newest_only = SourceIndex::Rebuild(scratch_.path(), 1);
  ASSERT_TRUE(newest_only);
  EXPECT_EQ((*newest_only)->HighestSeen("shim-1"), 499u);
}

TEST(SourceIndex, KeepsTheHighestAndForgetsTheLeastUsed) {
  SourceIndex index(2);
  index.Remember("a", 5);
  index.Remember("a", 3);
  EXPECT_EQ(index.HighestSeen("a"), 5u);
  index.Remember("b", 1);
  EXPECT_EQ(index.HighestSeen("a"), 5u);
  index.Remember("c", 1);
  EXPECT_EQ(index.size(), 2u);
  EXPECT_EQ(index.HighestSeen("b"), 0u);
  EXPECT_EQ(index.HighestSeen("a"), 5u);
}

TEST(SourceIndex, AbsentLogGivesAnEmptyIndex) {
  const ScratchDirectory scratch;
  auto index = SourceIndex::Rebuild(scratch.path() + "/absent");
  ASSERT_TRUE(index);
  EXPECT_EQ((*index)->size(), 0u);
}

}  // namespace
}  // namespace bulwark::audit
