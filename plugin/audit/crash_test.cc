// What is left after a crash: kill -9 of a writing process, torn last frames, and a disk that is
// full.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <random>
#include <thread>

#include "lib/base/cleanup.h"
#include "plugin/audit/segment_format.h"
#include "plugin/audit/test_log.h"
#include "plugin/audit/verify.h"

namespace bulwark::audit {
namespace {

struct Ack {
  uint64_t sequence;
  uint64_t id;
};

// Appends from several threads until it is killed, and reports each acknowledged record on `acks`
// first thing.
[[noreturn]] void RunChild(const std::string& directory, int acks, uint64_t first_id) {
  auto log = AuditLog::Open(SmallLog(directory));
  if (!log) _exit(3);
  std::atomic<uint64_t> next_id{first_id};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (;;) {
        const uint64_t id = next_id++;
        auto receipt = (*log)->AppendDurable(Decision(std::to_string(id)), Lane::kGate);
        if (!receipt) _exit(4);
        const Ack ack{receipt->sequence, id};
        if (write(acks, &ack, sizeof(ack)) != sizeof(ack)) _exit(5);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  _exit(6);
}

TEST(AuditCrash, EveryAcknowledgedRecordSurvivesKill) {
  const ScratchDirectory scratch;
  std::mt19937_64 random(20240601);
  std::map<uint64_t, uint64_t> acknowledged;  // sequence -> id
  for (int round = 0; round < 50; ++round) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      close(ends[0]);
      RunChild(scratch.path(), ends[1], static_cast<uint64_t>(round) * 1'000'000);
    }
    close(ends[1]);
    const auto life = std::chrono::microseconds(random() % 40'000);
    std::thread killer([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(5) + life);
      kill(child, SIGKILL);
    });
    Ack ack;
    while (read(ends[0], &ack, sizeof(ack)) == sizeof(ack)) {
      EXPECT_EQ(acknowledged.count(ack.sequence), 0u) << "sequence given twice";
      acknowledged[ack.sequence] = ack.id;
    }
    killer.join();
    close(ends[0]);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "child ended by itself: " << WEXITSTATUS(status);
  }
  OpenOrFail(SmallLog(scratch.path())).reset();
  auto verified = Verify(scratch.path(), std::nullopt);
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->code, VerifyCode::kOk) << DescribeVerifyResult(*verified);
  EXPECT_EQ(verified->epochs, 1u);
  std::map<uint64_t, std::string> found;
  for (const StoredRecord& stored : ReadAll(scratch.path())) {
    found[stored.record.sequence()] = stored.record.decision_id();
  }
  EXPECT_GT(acknowledged.size(), 100u);
  for (const auto& [sequence, id] : acknowledged) {
    ASSERT_EQ(found.count(sequence), 1u) << "acknowledged record " << sequence << " is lost";
    EXPECT_EQ(found[sequence], std::to_string(id));
  }
}

// A log of five records as a crash would leave it, and where its last frame lies.
struct CrashedLog {
  std::string segment;
  std::string bytes;
  size_t last_frame = 0;
  size_t end = 0;
};

CrashedLog MakeCrashedLog(const std::string& directory) {
  {
    auto log = OpenOrFail(SmallLog(directory));
    for (int i = 0; i < 4; ++i)
      EXPECT_TRUE(log->AppendDurable(Decision(std::to_string(i)), Lane::kGate));
    EXPECT_TRUE(log->Close());
  }
  CrashedLog log;
  log.segment = SegmentPaths(directory).front();
  log.bytes = ReadBytes(log.segment);
  std::vector<size_t> frames = {kSegmentHeaderBytes};
  while (auto size = PeekFrameBytes(std::string_view(log.bytes).substr(frames.back()))) {
    frames.push_back(frames.back() + *size);
  }
  // Without AUDIT_STOP, the last frame is that of decision 3.
  log.end = frames[frames.size() - 2];
  log.last_frame = frames[frames.size() - 3];
  std::fill(log.bytes.begin() + static_cast<ptrdiff_t>(log.end), log.bytes.end(), '\0');
  return log;
}

TEST(AuditCrash, TornTailAtEveryOffsetIsFoundAndDiscarded) {
  const ScratchDirectory scratch;
  const std::string origin = scratch.path() + "/origin";
  const CrashedLog crashed = MakeCrashedLog(origin);
  ASSERT_GT(crashed.end, crashed.last_frame);
  for (size_t cut = crashed.last_frame; cut < crashed.end; ++cut) {
    const std::string copy = scratch.path() + "/copy";
    std::filesystem::remove_all(copy);
    std::filesystem::copy(origin, copy, std::filesystem::copy_options::recursive);
    std::string torn = crashed.bytes;
    std::fill(torn.begin() + static_cast<ptrdiff_t>(cut),
              torn.begin() + static_cast<ptrdiff_t>(crashed.end), '\0');
    if (torn == crashed.bytes) continue;  // the padding is zeros
    WriteBytes(SegmentPaths(copy).front(), torn);
    auto before = Verify(copy, std::nullopt);
    ASSERT_TRUE(before);
    const bool nothing_left = torn.find_last_not_of('\0') < crashed.last_frame;
    EXPECT_EQ(before->code, nothing_left ? VerifyCode::kOk : VerifyCode::kTornTail)
        << "cut at " << cut;
    EXPECT_EQ(before->last_sequence, 4u);
    auto log = OpenOrFail(SmallLog(copy));
    ASSERT_NE(log, nullptr);
    auto receipt = log->AppendDurable(Decision("after"), Lane::kGate);
    ASSERT_TRUE(receipt);
    EXPECT_EQ(receipt->sequence, 6u);
    log.reset();
    auto after = Verify(copy, std::nullopt);
    ASSERT_TRUE(after);
    EXPECT_EQ(after->code, VerifyCode::kOk)
        << "cut at " << cut << ": " << DescribeVerifyResult(*after);
    EXPECT_EQ(after->discarded_tails, nothing_left ? 0u : 1u);
    const auto records = ReadAll(copy);
    ASSERT_GE(records.size(), 6u);
    EXPECT_EQ(records[4].record.attributes().at("previous"), "unclean");
    EXPECT_EQ(records[4].record.attributes().at("discarded_torn_bytes") == "0", nothing_left);
  }
}

TEST(AuditCrash, LastFrameWithUnwrittenBeginningIsATornTail) {
  const ScratchDirectory scratch;
  CrashedLog crashed = MakeCrashedLog(scratch.path());
  std::fill_n(crashed.bytes.begin() + static_cast<ptrdiff_t>(crashed.last_frame), 60, '\0');
  WriteBytes(crashed.segment, crashed.bytes);
  auto verified = Verify(scratch.path(), std::nullopt);
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->code, VerifyCode::kTornTail);
  EXPECT_EQ(verified->offset, crashed.last_frame);
  EXPECT_EQ(verified->sequence, 5u);
}

TEST(AuditCrash, FullDiskRefusesGateRecordsAndKeepsTheWayDownInTheReserve) {
  const ScratchDirectory scratch;
  const std::string disk = scratch.path() + "/disk";
  std::filesystem::create_directory(disk);
  if (geteuid() != 0 || mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=1m") != 0) {
    GTEST_SKIP() << "cannot mount a tmpfs here";
  }
  base::Cleanup unmount([&] { umount2(disk.c_str(), MNT_DETACH); });
  const std::string directory = disk + "/audit";
  base::FakeClock clock;
  clock.boot_ns = 10'000'000'000;
  AuditLogOptions options = SmallLog(directory);
  options.reserve_bytes = 256 << 10;
  options.clock = &clock;
  auto log = OpenOrFail(options);
  ASSERT_NE(log, nullptr);
  const std::string filler(512 << 10, 'x');
  WriteBytes(disk + "/filler", filler);
  int written = 0;
  base::Result<Receipt> last = Receipt();
  while (written < 10'000) {
    last = log->AppendDurable(Decision("gate"), Lane::kGate);
    if (!last) break;
    ++written;
  }
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().code(), base::Code::kResourceExhausted) << last.error().message();
  EXPECT_EQ(log->Status().state, LogState::kReserve);
  for (int i = 0; i < 100; ++i) {
    auto down = log->AppendDurable(Decision("down"), Lane::kWayDown);
    ASSERT_TRUE(down) << down.error().message();
    EXPECT_FALSE(log->AppendDurable(Decision("refused"), Lane::kGate));
  }
  // A restart on the full disk goes on in the reserve.
  log.reset();
  log = OpenOrFail(options);
  ASSERT_NE(log, nullptr);
  ASSERT_TRUE(log->AppendDurable(Decision("down"), Lane::kWayDown));
  EXPECT_FALSE(log->AppendDurable(Decision("refused"), Lane::kGate));
  // Even the reserve ends.
  base::Result<Receipt> down = Receipt();
  for (int i = 0; i < 10'000 && down; ++i)
    down = log->AppendDurable(Decision("down"), Lane::kWayDown);
  ASSERT_FALSE(down);
  EXPECT_EQ(down.error().code(), base::Code::kResourceExhausted);
  // Space returns.
  std::filesystem::remove(disk + "/filler");
  clock.boot_ns += 2'000'000'000;
  ASSERT_TRUE(log->AppendDurable(Decision("back"), Lane::kGate));
  EXPECT_EQ(log->Status().state, LogState::kNormal);
  ASSERT_TRUE(log->Close());
  log.reset();
  auto verified = Verify(directory, std::nullopt);
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->code, VerifyCode::kOk) << DescribeVerifyResult(*verified);
  int gate = 0;
  int degraded = 0;
  for (const StoredRecord& stored : ReadAll(directory)) {
    EXPECT_NE(stored.record.decision_id(), "refused");
    gate += stored.record.decision_id() == "gate" ? 1 : 0;
    degraded += stored.record.event_type() == v1::AUDIT_DEGRADED ? 1 : 0;
  }
  EXPECT_EQ(gate, written);
  EXPECT_GE(degraded, 2);
}

}  // namespace
}  // namespace bulwark::audit
