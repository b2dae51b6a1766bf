#include "plugin/audit/verify.h"

#include <gtest/gtest.h>

#include <random>

#include "plugin/audit/chain.h"
#include "plugin/audit/segment_format.h"
#include "plugin/audit/segment_scanner.h"
#include "plugin/audit/test_log.h"

namespace bulwark::audit {
namespace {

namespace fs = std::filesystem;

VerifyResult VerifyOrFail(const std::string& directory,
                          const std::optional<ExpectedHead>& expected = {}) {
  auto result = Verify(directory, expected);
  if (!result) {
    ADD_FAILURE() << result.error().message();
    return {};
  }
  return *result;
}

// A cleanly stopped log of several segments.
class VerifyTest : public testing::Test {
 protected:
  void SetUp() override {
    auto log = OpenOrFail(SmallLog(directory_));
    for (int i = 0; i < 600; ++i) {
      // In groups, so that frames hold different numbers of records.
      log->Append(Decision(std::to_string(i)), Lane::kGate, nullptr);
      if (i % 7 != 0) continue;
      ASSERT_TRUE(log->AppendDurable(Decision("sync"), Lane::kGate));
    }
    ASSERT_TRUE(log->Close());
    head_.sequence = log->Status().durable_sequence;
    head_.chain_hash = log->Status().chain_hash;
    segments_ = SegmentPaths(directory_);
    ASSERT_GE(segments_.size(), 3u);
    ASSERT_EQ(VerifyOrFail(directory_).code, VerifyCode::kOk);
  }

  // Offsets of the frames of a segment, and of the end of the last one.
  static std::vector<size_t> FrameOffsets(const std::string& bytes) {
    std::vector<size_t> offsets = {kSegmentHeaderBytes};
    while (auto size = PeekFrameBytes(std::string_view(bytes).substr(offsets.back()))) {
      offsets.push_back(offsets.back() + *size);
    }
    return offsets;
  }

  const ScratchDirectory scratch_;
  const std::string directory_ = scratch_.path() + "/log";
  std::vector<std::string> segments_;
  ExpectedHead head_;
};

TEST_F(VerifyTest, WholeLogWithItsHeadIsOk) {
  const VerifyResult result = VerifyOrFail(directory_, head_);
  EXPECT_EQ(result.code, VerifyCode::kOk) << DescribeVerifyResult(result);
  EXPECT_EQ(result.last_sequence, head_.sequence);
  EXPECT_EQ(result.records, head_.sequence);
  EXPECT_EQ(result.chain_hash, head_.chain_hash);
  EXPECT_TRUE(result.stopped_cleanly);
}

TEST_F(VerifyTest, FlippedBitAnywhereIsDetected) {
  std::mt19937_64 random(7);
  std::vector<std::string> contents;
  for (const std::string& path : segments_) contents.push_back(ReadBytes(path));
  for (int i = 0; i < 1500; ++i) {
    const size_t segment = random() % segments_.size();
    std::string bytes = contents[segment];
    const size_t at = random() % bytes.size();
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << (random() % 8)));
    WriteBytes(segments_[segment], bytes);
    const VerifyResult result = VerifyOrFail(directory_);
    ASSERT_NE(result.code, VerifyCode::kOk) << segments_[segment] << " at " << at;
    EXPECT_EQ(directory_ + "/" + result.segment, segments_[segment]);
    EXPECT_LE(result.offset, at);
    EXPECT_FALSE(result.reason.empty());
    WriteBytes(segments_[segment], contents[segment]);
  }
}

TEST_F(VerifyTest, MissingSegmentIsAGapThatNamesTheRecords) {
  fs::rename(segments_[1], scratch_.path() + "/away");
  const VerifyResult result = VerifyOrFail(directory_);
  EXPECT_EQ(result.code, VerifyCode::kGap);
  EXPECT_EQ(directory_ + "/" + result.segment, segments_[0]);
  EXPECT_NE(result.reason.find(fs::path(segments_[2]).filename().string()), std::string::npos);
  EXPECT_EQ(result.sequence,
            ParseSegmentFileName(fs::path(segments_[1]).filename().string())->first_sequence);
}

TEST_F(VerifyTest, MissingFirstSegmentIsAGap) {
  fs::remove(segments_[0]);
  const VerifyResult result = VerifyOrFail(directory_);
  EXPECT_EQ(result.code, VerifyCode::kGap);
  EXPECT_EQ(result.sequence, 1u);
}

TEST_F(VerifyTest, MissingLastSegmentShowsAgainstTheHead) {
  fs::remove(segments_.back());
  EXPECT_EQ(VerifyOrFail(directory_).code, VerifyCode::kOk);
  EXPECT_EQ(VerifyOrFail(directory_, head_).code, VerifyCode::kGap);
}

TEST_F(VerifyTest, TruncatedTailInsideAClosedSegmentIsAGap) {
  std::string bytes = ReadBytes(segments_[0]);
  const auto frames = FrameOffsets(bytes);
  std::fill(bytes.begin() + static_cast<ptrdiff_t>(frames[frames.size() - 2]), bytes.end(), '\0');
  WriteBytes(segments_[0], bytes);
  const VerifyResult result = VerifyOrFail(directory_);
  EXPECT_EQ(result.code, VerifyCode::kGap);
  EXPECT_EQ(directory_ + "/" + result.segment, segments_[0]);
  EXPECT_EQ(result.offset, frames[frames.size() - 2]);
}

TEST_F(VerifyTest, ShortenedFileIsDetected) {
  fs::resize_file(segments_[0], fs::file_size(segments_[0]) - 1);
  EXPECT_EQ(VerifyOrFail(directory_).code, VerifyCode::kChainBreak);
}

TEST_F(VerifyTest, RemovedFrameIsAGap) {
  std::string bytes = ReadBytes(segments_[0]);
  const auto frames = FrameOffsets(bytes);
  const size_t removed = frames[3] - frames[2];
  bytes.erase(frames[2], removed);
  bytes.append(removed, '\0');
  WriteBytes(segments_[0], bytes);
  const VerifyResult result = VerifyOrFail(directory_);
  EXPECT_EQ(result.code, VerifyCode::kGap);
  EXPECT_EQ(result.offset, frames[2]);
}

TEST_F(VerifyTest, ReorderedFramesAreDetected) {
  std::string bytes = ReadBytes(segments_[0]);
  const auto frames = FrameOffsets(bytes);
  const std::string first = bytes.substr(frames[2], frames[3] - frames[2]);
  const std::string second = bytes.substr(frames[3], frames[4] - frames[3]);
  bytes.replace(frames[2], first.size() + second.size(), second + first);
  WriteBytes(segments_[0], bytes);
  EXPECT_EQ(VerifyOrFail(directory_).code, VerifyCode::kGap);
}

// Somebody who can compute checksums and hashes changes a record and repairs the frame around it.
TEST_F(VerifyTest, RewrittenRecordWithRepairedFrameBreaksTheChain) {
  std::string bytes = ReadBytes(segments_[0]);
  const auto frames = FrameOffsets(bytes);
  auto scanner = SegmentScanner::Open(directory_, fs::path(segments_[0]).filename().string());
  ASSERT_TRUE(scanner);
  ChainHasher hasher;
  ChainHash chain = scanner->header().previous_chain;
  for (size_t i = 0; i < 3; ++i) {
    auto frame = scanner->Next();
    ASSERT_TRUE(frame && *frame);
    FrameBuilder builder;
    builder.Begin((*frame)->first_sequence);
    for (const std::string_view record : (*frame)->records) {
      v1::AuditRecord changed;
      ASSERT_TRUE(changed.ParseFromArray(record.data(), static_cast<int>(record.size())));
      changed.clear_sequence();
      if (i == 2) changed.mutable_message()->assign(changed.message().size(), 'X');
      chain = hasher.Extend(chain, builder.Add(changed.SerializeAsString()));
    }
    const std::string_view forged = builder.Finish(chain);
    ASSERT_EQ(forged.size(), (*frame)->frame_bytes);
    bytes.replace(frames[i], forged.size(), forged);
  }
  WriteBytes(segments_[0], bytes);
  const VerifyResult result = VerifyOrFail(directory_);
  EXPECT_EQ(result.code, VerifyCode::kChainBreak);
  EXPECT_EQ(result.offset, frames[3]) << "the frame after the forged one does not continue it";
}

TEST_F(VerifyTest, LogOfAnotherHistoryDoesNotMatchTheHead) {
  ExpectedHead other = head_;
  other.chain_hash[0] ^= 1;
  EXPECT_EQ(VerifyOrFail(directory_, other).code, VerifyCode::kChainBreak);
}

TEST_F(VerifyTest, SegmentOfAnotherLogIsDetected) {
  const std::string other = scratch_.path() + "/other";
  {
    auto log = OpenOrFail(SmallLog(other));
    for (int i = 0; i < 700; ++i) log->Append(Decision(std::to_string(i)), Lane::kGate, nullptr);
    ASSERT_TRUE(log->Close());
  }
  std::string bytes = ReadBytes(SegmentPaths(other)[0]);
  WriteBytes(segments_[0], bytes);
  EXPECT_NE(VerifyOrFail(directory_).code, VerifyCode::kOk);
}

TEST_F(VerifyTest, RunningLogIsCheckedUpToItsHead) {
  auto log = OpenOrFail(SmallLog(directory_));
  ExpectedHead head;
  head.sequence = log->Status().durable_sequence;
  head.chain_hash = log->Status().chain_hash;
  ASSERT_TRUE(log->AppendDurable(Decision("later"), Lane::kGate));
  EXPECT_EQ(VerifyOrFail(directory_, head).code, VerifyCode::kOk);
}

TEST(Verify, EmptyDirectoryIsAnErrorNotAResult) {
  const ScratchDirectory scratch;
  EXPECT_FALSE(Verify(scratch.path(), std::nullopt));
  EXPECT_FALSE(Verify(scratch.path() + "/absent", std::nullopt));
}

}  // namespace
}  // namespace bulwark::audit
