// Bounding, rendering and redaction of records, and the pure parts of the format.
#include "plugin/audit/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "plugin/audit/chain.h"
#include "plugin/audit/crc32c.h"
#include "plugin/audit/record_json.h"
#include "plugin/audit/redaction.h"
#include "plugin/audit/segment_format.h"

namespace bulwark::audit {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Crc32c, MatchesTheTestVectorsOfRfc3720) {
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
}

TEST(Crc32c, BothImplementationsAgree) {
  std::mt19937_64 random(1);
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(Crc32c(bytes), Crc32cPortable(bytes));
    bytes += static_cast<char>(random());
  }
}

TEST(ChainHasher, FollowsTheDocumentedFormula) {
  // Computed with: printf '\0abc' | sha256sum; then SHA-256(0x01 || 32 zero bytes || leaf).
  ChainHasher hasher;
  EXPECT_EQ(HexEncode(hasher.Extend(ChainHash{}, "abc")),
            "c27a212679c4087c8204da450cd48a458afb85bd7ad1fac07404ab17f313189b");
}

TEST(SegmentFormat, HeaderSurvivesARoundTrip) {
  SegmentHeader header;
  header.epoch_ordinal = 3;
  header.flags = kFlagReserve;
  header.node_id = {1, 2};
  header.first_sequence = 77;
  header.previous_chain = {9};
  header.created_wall_ns = -5;
  header.segment_bytes = 65536;
  const auto decoded = DecodeSegmentHeader(EncodeSegmentHeader(header));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->epoch_ordinal, 3u);
  EXPECT_EQ(decoded->flags, kFlagReserve);
  EXPECT_EQ(decoded->node_id, header.node_id);
  EXPECT_EQ(decoded->first_sequence, 77u);
  EXPECT_EQ(decoded->previous_chain, header.previous_chain);
  EXPECT_EQ(decoded->created_wall_ns, -5);
  EXPECT_EQ(decoded->segment_bytes, 65536u);
}

TEST(SegmentFormat, OnlyTheOneSpellingOfANameIsASegment) {
  EXPECT_EQ(ParseSegmentFileName(SegmentFileName(12, 345))->first_sequence, 345u);
  for (const char* name :
       {"", "segment-", "segment-1-1.log", "segment-000001-00000000000000000000.log",
        "segment-000001-00000000000000000001.log.tmp", "spare", "segment-00000x-0.log"}) {
    EXPECT_FALSE(ParseSegmentFileName(name)) << name;
  }
}

TEST(SegmentFormat, SequenceIsTheLastField) {
  FrameBuilder builder;
  builder.Begin(300);
  const std::string record(builder.Add("ab"));
  EXPECT_TRUE(RecordHasSequence(record, 300));
  EXPECT_FALSE(RecordHasSequence(record, 301));
  EXPECT_FALSE(RecordHasSequence("", 300));
}

TEST(BoundRecord, ReplacesWhatIsNotUtf8SoThatItCanBeReadBack) {
  v1::AuditRecord record;
  record.set_message("bad \xff\xc0\x80 ok \xc3\xa4");
  record.mutable_process()->add_argv(std::string("nul\0byte", 8));
  (*record.mutable_attributes())["\xfe"] = "\xed\xa0\x80";
  BoundRecord(&record);
  v1::AuditRecord copy;
  ASSERT_TRUE(copy.ParseFromString(record.SerializeAsString()));
  EXPECT_EQ(copy.message(), "bad \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd ok \xc3\xa4");
  EXPECT_EQ(copy.process().argv(0),
            "nul\xef\xbf\xbd"
            "byte");
  EXPECT_EQ(copy.attributes().count("truncated"), 0u);
}

TEST(BoundRecord, AnyRecordFitsAfterwards) {
  v1::AuditRecord record;
  const std::string huge(100'000, 'x');
  record.set_message(huge);
  record.mutable_container()->set_image_reference(huge);
  record.mutable_container()->set_pod_uid(huge);
  for (int i = 0; i < 1000; ++i) {
    record.mutable_process()->add_argv(huge);
    record.mutable_process()->add_environment_names(huge);
    (*record.mutable_attributes())[std::to_string(i) + huge] = huge;
    v1::ReasonStep* step = record.add_reasoning();
    step->set_detail(huge);
    for (int j = 0; j < 20; ++j) step->add_evidence(huge.substr(0, 500));
  }
  EXPECT_LE(BoundRecord(&record), kRecordBytesMax - 11);
  EXPECT_EQ(record.attributes().at("truncated"), "true");
  EXPECT_LE(record.attributes().size(), 32u);
  EXPECT_FALSE(record.message().empty());
}

TEST(RecordJson, IdsAreHexAndLargeNumbersAreStrings) {
  v1::AuditRecord record;
  record.set_node_id(std::string("\x01\xff", 2));
  record.set_sequence(1ull << 60);
  record.set_event_type(v1::EXEC_DECISION);
  record.set_outcome(v1::WOULD_DENY);
  record.mutable_process()->add_argv("say \"hi\"\n");
  const ChainHash hash = {0xab};
  const auto json = nlohmann::json::parse(RecordToJson(record, &hash));
  EXPECT_EQ(json["node_id"], "01ff");
  EXPECT_EQ(json["sequence"], "1152921504606846976");
  EXPECT_EQ(json["event_type"], "EXEC_DECISION");
  EXPECT_EQ(json["outcome"], "WOULD_DENY");
  EXPECT_EQ(json["process"]["argv"][0], "say \"hi\"\n");
  EXPECT_EQ(json["chain_hash"].get<std::string>().substr(0, 4), "ab00");
  EXPECT_EQ(RecordToJson(v1::AuditRecord()), "{}");
  v1::AuditRecord only_id;
  only_id.set_boot_id("x");
  EXPECT_EQ(RecordToJson(only_id), "{\"boot_id\":\"78\"}");
}

TEST(RecordLine, CannotForgeALineOrMoveTheCursor) {
  v1::AuditRecord record;
  record.set_wall_ns(1'700'000'000'123'000'000);
  record.set_sequence(7);
  record.set_event_type(v1::CREATE_DECISION);
  record.set_outcome(v1::DENIED);
  record.set_message("a\nb\x1b[2Jc\xc2\x9b");
  const std::string line = RecordToLine(record);
  EXPECT_THAT(line, HasSubstr("2023-11-14T22:13:20.123Z"));
  EXPECT_THAT(line, HasSubstr("CREATE_DECISION"));
  EXPECT_THAT(line, HasSubstr("a?b?[2Jc?"));
  EXPECT_EQ(line.find('\n'), std::string::npos);
}

TEST(Redaction, MasksTheUsualShapes) {
  EXPECT_THAT(RedactArgv({"psql", "--password=hunter2", "--token", "abc", "-u", "bob"}),
              ElementsAre("psql", "--password=***", "--token", "***", "-u", "bob"));
  EXPECT_THAT(RedactArgv({"mysql", "-psecret", "-p", "x"}),
              ElementsAre("mysql", "-p***", "-p", "x"));
  EXPECT_THAT(RedactArgv({"tool", "-password", "x", "y"}),
              ElementsAre("tool", "-p***", "***", "y"));
  EXPECT_THAT(RedactArgv({"env", "PGPASSWORD=x", "HOME=/root"}),
              ElementsAre("env", "PGPASSWORD=***", "HOME=/root"));
  EXPECT_THAT(RedactArgv({"curl", "https://bob:pw@host/x?y"}),
              ElementsAre("curl", "https://bob:***@host/x?y"));
  EXPECT_THAT(RedactArgv({"curl", "-H", "Authorization: Bearer abc.def"}),
              ElementsAre("curl", "-H", "Authorization: Bearer ***"));
  EXPECT_THAT(RedactArgv({"sh", "-c", "export API_TOKEN=abc; run --secret x"}),
              ElementsAre("sh", "-c", "export API_TOKEN=*** run --secret ***"));
  EXPECT_THAT(RedactArgv({"AKIAIOSFODNN7EXAMPLE", "a1B2c3D4e5F6g7H8i9J0k1L2m3"}),
              ElementsAre("***", "***"));
}

TEST(Redaction, LeavesOrdinaryCommandsAlone) {
  const std::vector<std::string> argv = {
      "/usr/bin/very/long/path/to/A1/Program2",
      "cat",
      "/etc/hostname",
      "busybox@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
      "http://example.com:8080/x",
      "key=value",
      "",
      "a b"};
  EXPECT_EQ(RedactArgv(argv), argv);
}

TEST(Redaction, ResultIsBounded) {
  const auto many = RedactArgv(std::vector<std::string>(100'000, "x"));
  EXPECT_EQ(many.size(), kArgvCountMax);
  EXPECT_THAT(many.back(), HasSubstr("arguments"));
  const auto longer = RedactArgv({"sh", "-c", std::string(1'000'000, 'x') + " y", "z"});
  size_t bytes = 0;
  for (const std::string& argument : longer) bytes += argument.size();
  EXPECT_LE(bytes, kArgvBytesMax + 64);
}

}  // namespace
}  // namespace bulwark::audit
