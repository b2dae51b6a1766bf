#include "plugin/audit/log_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "plugin/audit/segment_scanner.h"
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

// Where the last whole frame of a segment begins.
size_t LastFrameOffset(const std::string& directory, const std::string& path) {
  auto scanner = SegmentScanner::Open(directory, path.substr(directory.size() + 1));
  EXPECT_TRUE(scanner);
  for (;;) {
    const uint64_t offset = scanner->offset();
    const auto frame = scanner->Next();
    EXPECT_TRUE(frame);
    if (!*frame) return 0;
    const auto is_last = scanner->AtZeros();
    if (is_last && *is_last) return static_cast<size_t>(offset);
  }
}

void FlipByte(const std::string& path, size_t at) {
  std::string bytes = ReadBytes(path);
  ASSERT_LT(at, bytes.size());
  bytes[at] = static_cast<char>(bytes[at] ^ 0x40);
  WriteBytes(path, bytes);
}

// At least three segments, closed.
class DamagedLogTest : public LogReaderTest {
 protected:
  void SetUp() override {
    LogReaderTest::SetUp();
    while (SegmentPaths(scratch_.path()).size() < 3) {
      ASSERT_TRUE(log_->AppendDurable(Decision("more"), Lane::kGate));
    }
    ASSERT_TRUE(log_->Close());
    segments_ = SegmentPaths(scratch_.path());
  }

  // What ends the reading of the whole log: nothing, or an error.
  base::Status ReadToTheEnd() {
    auto reader = LogReader::Open(scratch_.path(), {}, nullptr);
    if (!reader) return std::move(reader).error();
    for (;;) {
      auto next = (*reader)->Next();
      if (!next) return std::move(next).error();
      if (!*next) return base::OkStatus();
    }
  }

  std::vector<std::string> segments_;
};

TEST_F(DamagedLogTest, AWholeLogIsReadToItsEnd) { EXPECT_TRUE(ReadToTheEnd()); }

TEST_F(DamagedLogTest, ADamagedLastFrameOfAnOlderSegmentIsDataLossNotTheEnd) {
  FlipByte(segments_[0], LastFrameOffset(scratch_.path(), segments_[0]) + kFrameHeaderBytes + 9);
  const auto status = ReadToTheEnd();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), base::Code::kDataLoss);
}

TEST_F(DamagedLogTest, AMissingSegmentIsDataLossNotTheEnd) {
  std::filesystem::remove(segments_[1]);
  const auto status = ReadToTheEnd();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), base::Code::kDataLoss);
}

TEST_F(DamagedLogTest, SourceIndexSkipsDamageInAnOlderSegment) {
  FlipByte(segments_[0], 5000);
  auto index = SourceIndex::Rebuild(scratch_.path());
  ASSERT_TRUE(index) << index.error().message();
  EXPECT_TRUE((*index)->IsDurable("shim-0", 498));  // in a later segment
}

TEST_F(DamagedLogTest, SourceIndexSkipsASegmentWhoseHeaderIsDamaged) {
  FlipByte(segments_[1], 3);
  auto index = SourceIndex::Rebuild(scratch_.path());
  ASSERT_TRUE(index) << index.error().message();
}

TEST_F(LogReaderTest, SourceIndexIsRebuiltFromTheLog) {
  auto index = SourceIndex::Rebuild(scratch_.path());
  ASSERT_TRUE(index);
  EXPECT_EQ((*index)->size(), 3u);
  EXPECT_TRUE((*index)->IsDurable("shim-0", 498));
  EXPECT_TRUE((*index)->IsDurable("shim-1", 499));
  EXPECT_FALSE((*index)->IsDurable("shim-1", 502));
  EXPECT_FALSE((*index)->IsDurable("shim-9", 1));
  auto newest_only = SourceIndex::Rebuild(scratch_.path(), 1);
  ASSERT_TRUE(newest_only);
  EXPECT_TRUE((*newest_only)->IsDurable("shim-1", 499));
}

TEST(SourceIndex, KnowsEachNumberAndForgetsTheLeastUsedSource) {
  SourceIndex index(2);
  index.Remember("a", 5);
  index.Remember("a", 3);
  EXPECT_TRUE(index.IsDurable("a", 5));
  EXPECT_TRUE(index.IsDurable("a", 3));
  EXPECT_FALSE(index.IsDurable("a", 4));
  index.Remember("b", 1);
  EXPECT_TRUE(index.IsDurable("a", 5));
  index.Remember("c", 1);
  EXPECT_EQ(index.size(), 2u);
  EXPECT_FALSE(index.IsDurable("b", 1));
  EXPECT_TRUE(index.IsDurable("a", 5));
}

TEST(SourceIndex, ANumberThatWasSkippedIsNotDurableUntilItIs) {
  SourceIndex index;
  for (const uint64_t number : {2, 3, 7, 9, 8}) index.Remember("a", number);
  EXPECT_FALSE(index.IsDurable("a", 1));
  EXPECT_FALSE(index.IsDurable("a", 6));
  index.Remember("a", 1);
  index.Remember("a", 5);
  index.Remember("a", 4);
  index.Remember("a", 6);
  for (uint64_t number = 1; number <= 9; ++number) {
    EXPECT_TRUE(index.IsDurable("a", number)) << number;
  }
  EXPECT_FALSE(index.IsDurable("a", 10));
}

TEST(SourceIndex, ManyGapsForgetTheLowestAndInventNothing) {
  SourceIndex index;
  for (uint64_t number = 2; number <= 1000; number += 2) index.Remember("a", number);
  EXPECT_FALSE(index.IsDurable("a", 2));
  EXPECT_TRUE(index.IsDurable("a", 1000));
  for (uint64_t number = 1; number <= 999; number += 2) {
    EXPECT_FALSE(index.IsDurable("a", number)) << number;
  }
}

TEST(SourceIndex, AbsentLogGivesAnEmptyIndex) {
  const ScratchDirectory scratch;
  auto index = SourceIndex::Rebuild(scratch.path() + "/absent");
  ASSERT_TRUE(index);
  EXPECT_EQ((*index)->size(), 0u);
}

}  // namespace
}  // namespace bulwark::audit
