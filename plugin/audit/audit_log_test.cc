#include "plugin/audit/audit_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <thread>

#include "plugin/audit/test_log.h"
#include "plugin/audit/verify.h"

namespace bulwark::audit {
namespace {

using base::Code;

TEST(AuditLog, FirstRecordIsStartAndLastIsStop) {
  const ScratchDirectory scratch;
  {
    auto log = OpenOrFail(SmallLog(scratch.path()));
    ASSERT_TRUE(log->AppendDurable(Decision("a"), Lane::kGate));
    EXPECT_TRUE(log->Close());
  }
  const auto records = ReadAll(scratch.path());
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[0].record.event_type(), v1::AUDIT_START);
  EXPECT_EQ(records[0].record.attributes().at("previous"), "first");
  EXPECT_EQ(records[1].record.decision_id(), "a");
  EXPECT_EQ(records[2].record.event_type(), v1::AUDIT_STOP);
  for (size_t i = 0; i < records.size(); ++i) {
    const v1::AuditRecord& record = records[i].record;
    EXPECT_EQ(record.sequence(), i + 1);
    EXPECT_EQ(record.schema_version(), kRecordSchemaVersion);
    EXPECT_EQ(record.node_id().size(), 16u);
    EXPECT_EQ(record.log_epoch().size(), 16u);
    EXPECT_EQ(record.boot_id().size(), 16u);
    EXPECT_GT(record.wall_ns(), 0);
    EXPECT_GT(record.mono_ns(), 0);
  }
}

TEST(AuditLog, ReceiptIsWhatTheReaderFinds) {
  const ScratchDirectory scratch;
  auto log = OpenOrFail(SmallLog(scratch.path()));
  auto receipt = log->AppendDurable(Decision("x"), Lane::kGate);
  ASSERT_TRUE(receipt);
  const auto records = ReadAll(scratch.path());
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(receipt->sequence, 2u);
  EXPECT_EQ(records[1].chain_hash, receipt->chain_hash);
  EXPECT_EQ(log->Status().durable_sequence, 2u);
  EXPECT_EQ(log->Status().chain_hash, receipt->chain_hash);
}

TEST(AuditLog, GoesOnInTheSameChainAfterACleanStop) {
  const ScratchDirectory scratch;
  for (int i = 0; i < 3; ++i) {
    auto log = OpenOrFail(SmallLog(scratch.path()));
    ASSERT_TRUE(log->AppendDurable(Decision(std::to_string(i)), Lane::kGate));
  }
  const auto records = ReadAll(scratch.path());
  ASSERT_EQ(records.size(), 9u);
  EXPECT_EQ(records[3].record.attributes().at("previous"), "clean");
  EXPECT_EQ(records[3].record.attributes().at("previous_tail_sequence"), "3");
  EXPECT_EQ(records[8].record.log_epoch(), records[0].record.log_epoch());
  auto verified = Verify(scratch.path(), std::nullopt);
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->code, VerifyCode::kOk);
  EXPECT_TRUE(verified->stopped_cleanly);
}

TEST(AuditLog, SecondOpenerIsRefused) {
  const ScratchDirectory scratch;
  auto log = OpenOrFail(SmallLog(scratch.path()));
  auto second = AuditLog::Open(SmallLog(scratch.path()));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), Code::kFailedPrecondition);
}

TEST(AuditLog, AppendAfterCloseIsRefused) {
  const ScratchDirectory scratch;
  auto log = OpenOrFail(SmallLog(scratch.path()));
  ASSERT_TRUE(log->Close());
  auto late = log->AppendDurable(Decision("late"), Lane::kWayDown);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code(), Code::kUnavailable);
  EXPECT_TRUE(log->Close());
}

TEST(AuditLog, ConcurrentProducersGetEverySequenceOnceAcrossSegments) {
  const ScratchDirectory scratch;
  auto log = OpenOrFail(SmallLog(scratch.path()));
  constexpr int kThreads = 8;
  constexpr int kEach = 400;
  std::vector<std::vector<uint64_t>> sequences(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        auto receipt = log->AppendDurable(Decision(std::to_string(t * kEach + i)),
                                          i % 2 == 0 ? Lane::kGate : Lane::kWayDown);
        ASSERT_TRUE(receipt);
        sequences[static_cast<size_t>(t)].push_back(receipt->sequence);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(log->Close());
  std::set<uint64_t> all;
  for (const auto& own : sequences) {
    EXPECT_TRUE(std::is_sorted(own.begin(), own.end()));
    all.insert(own.begin(), own.end());
  }
  EXPECT_EQ(all.size(), static_cast<size_t>(kThreads * kEach));
  EXPECT_EQ(*all.begin(), 2u);
  EXPECT_EQ(*all.rbegin(), static_cast<uint64_t>(kThreads * kEach + 1));
  EXPECT_GT(SegmentPaths(scratch.path()).size(), 3u);
  auto verified = Verify(scratch.path(), std::nullopt);
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->code, VerifyCode::kOk) << DescribeVerifyResult(*verified);
  EXPECT_EQ(ReadAll(scratch.path()).size(), static_cast<size_t>(kThreads * kEach + 2));
}

TEST(AuditLog, CallbacksAllRunBeforeCloseReturns) {
  const ScratchDirectory scratch;
  auto log = OpenOrFail(SmallLog(scratch.path()));
  std::atomic<int> done{0};
  for (int i = 0; i < 1000; ++i) {
    log->Append(Decision(std::to_string(i)), Lane::kGate, [&](const base::Result<Receipt>& result) {
      if (result) ++done;
    });
  }
  ASSERT_TRUE(log->Close());
  EXPECT_EQ(done, 1000);
  EXPECT_LT(log->Status().batches, 1000u);
}

TEST(AuditLog, FailedSyncMovesTheFrameToANewSegmentAndSaysSo) {
  const ScratchDirectory scratch;
  FaultyStorage storage;
  AuditLogOptions options = SmallLog(scratch.path());
  options.storage = &storage;
  auto log = OpenOrFail(options);
  ASSERT_TRUE(log->AppendDurable(Decision("before"), Lane::kGate));
  storage.failing_syncs = 1;
  ASSERT_TRUE(log->AppendDurable(Decision("during"), Lane::kGate));
  EXPECT_EQ(storage.failing_syncs, 0);
  ASSERT_TRUE(log->AppendDurable(Decision("after"), Lane::kGate));
  EXPECT_EQ(log->Status().state, LogState::kNormal);
  ASSERT_TRUE(log->Close());
  EXPECT_EQ(SegmentPaths(scratch.path()).size(), 2u);
  std::vector<std::string> ids;
  bool degraded = false;
  for (const StoredRecord& stored : ReadAll(scratch.path())) {
    if (stored.record.event_type() == v1::CREATE_DECISION)
      ids.push_back(stored.record.decision_id());
    degraded |= stored.record.event_type() == v1::AUDIT_DEGRADED;
  }
  EXPECT_THAT(ids, testing::ElementsAre("before", "during", "after"));
  EXPECT_TRUE(degraded);
  auto verified = Verify(scratch.path(), std::nullopt);
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->code, VerifyCode::kOk) << DescribeVerifyResult(*verified);
  EXPECT_EQ(verified->discarded_tails, 1u);
}

TEST(AuditLog, HalfWrittenFrameIsWrittenAgainInANewSegment) {
  const ScratchDirectory scratch;
  FaultyStorage storage;
  AuditLogOptions options = SmallLog(scratch.path());
  options.storage = &storage;
  auto log = OpenOrFail(options);
  storage.failing_writes = 1;
  ASSERT_TRUE(log->AppendDurable(Decision("during"), Lane::kGate));
  ASSERT_TRUE(log->Close());
  auto verified = Verify(scratch.path(), std::nullopt);
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->code, VerifyCode::kOk) << DescribeVerifyResult(*verified);
}

TEST(AuditLog, FailsClosedWhenTheNewSegmentFailsTooAndRecoversLater) {
  const ScratchDirectory scratch;
  FaultyStorage storage;
  base::FakeClock clock;
  clock.boot_ns = 10'000'000'000;
  AuditLogOptions options = SmallLog(scratch.path());
  options.storage = &storage;
  options.clock = &clock;
  auto log = OpenOrFail(options);
  storage.failing_syncs = 1000;
  for (const Lane lane : {Lane::kGate, Lane::kWayDown}) {
    auto refused = log->AppendDurable(Decision("refused"), lane);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Code::kDataLoss) << refused.error().message();
  }
  EXPECT_EQ(log->Status().state, LogState::kFailed);
  EXPECT_EQ(log->Status().records_refused, 2u);
  storage.failing_syncs = 0;
  EXPECT_FALSE(log->AppendDurable(Decision("too soon"), Lane::kGate));
  clock.boot_ns += 2'000'000'000;
  ASSERT_TRUE(log->AppendDurable(Decision("back"), Lane::kGate));
  EXPECT_EQ(log->Status().state, LogState::kNormal);
  ASSERT_TRUE(log->Close());
  auto verified = Verify(scratch.path(), std::nullopt);
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->code, VerifyCode::kOk) << DescribeVerifyResult(*verified);
  for (const StoredRecord& stored : ReadAll(scratch.path()))
    EXPECT_NE(stored.record.decision_id(), "refused");
}

TEST(AuditLog, FullQueueRefusesInsteadOfGrowing) {
  const ScratchDirectory scratch;
  AuditLogOptions options = SmallLog(scratch.path());
  options.pending_records_max = 4;
  auto log = OpenOrFail(options);
  std::atomic<int> durable{0};
  std::atomic<int> refused{0};
  for (int i = 0; i < 2000; ++i) {
    log->Append(Decision("x"), Lane::kGate,
                [&](const base::Result<Receipt>& result) { ++(result ? durable : refused); });
  }
  ASSERT_TRUE(log->Close());
  EXPECT_EQ(durable + refused, 2000);
  EXPECT_GT(refused, 0);
  EXPECT_GT(durable, 0);
  EXPECT_EQ(log->Status().records_refused, static_cast<uint64_t>(refused));
}

TEST(AuditLog, DamagedLogIsLeftAloneAndANewEpochBegins) {
  const ScratchDirectory scratch;
  {
    auto log = OpenOrFail(SmallLog(scratch.path()));
    for (int i = 0; i < 20; ++i)
      ASSERT_TRUE(log->AppendDurable(Decision(std::to_string(i)), Lane::kGate));
  }
  const std::string segment = SegmentPaths(scratch.path()).front();
  std::string bytes = ReadBytes(segment);
  bytes[2000] = static_cast<char>(bytes[2000] ^ 1);
  WriteBytes(segment, bytes);
  {
    auto log = OpenOrFail(SmallLog(scratch.path()));
    ASSERT_TRUE(log->AppendDurable(Decision("after"), Lane::kGate));
  }
  EXPECT_EQ(ReadBytes(segment), bytes);
  const auto records = ReadAll(scratch.path());
  const auto start = std::find_if(records.rbegin(), records.rend(), [](const StoredRecord& stored) {
    return stored.record.event_type() == v1::AUDIT_START;
  });
  ASSERT_NE(start, records.rend());
  EXPECT_EQ(start->record.attributes().at("previous"), "corrupt");
  EXPECT_EQ(start->record.outcome(), v1::ERROR);
  EXPECT_EQ(start->record.sequence(), 1u);
  EXPECT_NE(start->record.log_epoch(), records.front().record.log_epoch());
  auto verified = Verify(scratch.path(), std::nullopt);
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->code, VerifyCode::kChainBreak);
}

TEST(AuditLog, BadOptionsAreRefused) {
  const ScratchDirectory scratch;
  AuditLogOptions options = SmallLog(scratch.path());
  options.segment_bytes = 1000;
  EXPECT_FALSE(AuditLog::Open(options));
  WriteBytes(scratch.path() + "/node-id", "not hex");
  EXPECT_FALSE(AuditLog::Open(SmallLog(scratch.path())));
}

}  // namespace
}  // namespace bulwark::audit
