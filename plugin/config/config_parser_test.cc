#include "plugin/config/config_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "lib/base/file_io.h"
#include "plugin/audit/record.h"

namespace bulwark::config {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string ErrorOf(std::string_view text) {
  auto config = ParseConfig("/e/b.toml", text);
  return config ? "no error" : config.error().message();
}

TEST(ConfigParser, VersionAloneGivesTheDefaults) {
  auto config = ParseConfig("/e/b.toml", "version = 1\n");
  ASSERT_TRUE(config) << config.error().message();
  EXPECT_EQ(config->containerd.address, "/run/containerd/containerd.sock");
  EXPECT_EQ(config->gate.socket, "/run/bulwark/gate.sock");
  EXPECT_EQ(config->api.socket, "/run/bulwark/bulwarkd.sock");
  EXPECT_EQ(config->policy.directory, "/etc/bulwark/policies");
  EXPECT_EQ(config->audit.directory, "/var/lib/bulwark/audit");
  EXPECT_EQ(config->state.database, "/var/lib/bulwark/state.db");
}

TEST(ConfigParser, EveryKeyChangesItsMember) {
  auto config = ParseConfig("/e/b.toml", R"(version = 1
[log]
level = "debug"
[containerd]
address = "/a"
timeout_ms = 100
[gate]
socket = "/b"
workers = 64
queue_max = 7
[api]
socket = "/c"
[policy]
directory = "/d"
[evidence]
directory = "/e"
[profiles]
directories = ["/f", "/g"]
[audit]
directory = "/h"
segment_bytes = 1048576
reserve_bytes = 2097152
[state]
database = "/i"
[spool]
directory = "/j"
)");
  ASSERT_TRUE(config) << config.error().message();
  EXPECT_EQ(config->log.level, base::LogLevel::kDebug);
  EXPECT_EQ(config->containerd.address, "/a");
  EXPECT_EQ(config->containerd.timeout_ms, 100);
  EXPECT_EQ(config->gate.socket, "/b");
  EXPECT_EQ(config->gate.workers, 64);
  EXPECT_EQ(config->gate.queue_max, 7);
  EXPECT_EQ(config->api.socket, "/c");
  EXPECT_EQ(config->policy.directory, "/d");
  EXPECT_EQ(config->evidence.directory, "/e");
  EXPECT_EQ(config->profiles.directories, (std::vector<std::string>{"/f", "/g"}));
  EXPECT_EQ(config->audit.directory, "/h");
  EXPECT_EQ(config->audit.segment_bytes, 1048576);
  EXPECT_EQ(config->audit.reserve_bytes, 2097152);
  EXPECT_EQ(config->state.database, "/i");
  EXPECT_EQ(config->spool.directory, "/j");
}

TEST(ConfigParser, ErrorsSayLineAndColumn) {
  EXPECT_EQ(ErrorOf("version = 1\n[gate]\n  sokcet = \"/x\"\n"),
            "/e/b.toml:3:3: unknown key \"sokcet\" in [gate]; did you mean \"socket\"?");
  EXPECT_EQ(ErrorOf("version = 1\n[gatee]\nsocket = \"/x\"\n"),
            "/e/b.toml:2:2: unknown key \"gatee\"; did you mean \"gate\"?");
  EXPECT_EQ(ErrorOf("version = 1\n[gate]\nsocket = 4\n"), "/e/b.toml:3:10: gate.socket: expected a path in quotes");
  EXPECT_EQ(ErrorOf("version = 1\n[gate]\nsocket = \"run/x\"\n"),
            "/e/b.toml:3:10: gate.socket: expected an absolute path, found \"run/x\"");
  EXPECT_EQ(ErrorOf("version = 1\n[gate]\nworkers = 0\n"),
            "/e/b.toml:3:11: gate.workers: expected a number from 1 to 64, found 0");
  EXPECT_EQ(ErrorOf("version = 1\n[gate]\nworkers = \"4\"\n"),
            "/e/b.toml:3:11: gate.workers: expected a whole number without quotes");
  EXPECT_EQ(ErrorOf("version = 1\ngate = 1\n"), "/e/b.toml:2:8: gate: expected a section [gate]");
  EXPECT_THAT(ErrorOf("version = 1\n[gate]\nsocket = \n"), StartsWith("/e/b.toml:3:"));
  EXPECT_THAT(ErrorOf("version = 1\n[log]\nlevel = \"loud\"\n"), StartsWith("/e/b.toml:3:9: log.level: expected one of"));
  EXPECT_THAT(ErrorOf("version = 1\n[profiles]\ndirectories = [\"/a\", 4]\n"), StartsWith("/e/b.toml:3:22: "));
}

TEST(ConfigParser, RefusesDuplicateKeysAndSections) {
  EXPECT_THAT(ErrorOf("version = 1\n[log]\nlevel = \"info\"\nlevel = \"warn\"\n"), StartsWith("/e/b.toml:4:"));
  EXPECT_THAT(ErrorOf("version = 1\n[log]\nlevel = \"info\"\n[log]\n"), StartsWith("/e/b.toml:4:"));
}

TEST(ConfigParser, DemandsAVersionItKnows) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("write version = 1"));
  EXPECT_EQ(ErrorOf("version = 2\n"), "/e/b.toml:1:11: version: expected a number from 1 to 1, found 2");
}

TEST(ConfigParser, BoundsSizeAndSocketPaths) {
  EXPECT_THAT(ErrorOf("version = 1\n#" + std::string(kConfigBytesMax, 'x')), HasSubstr("larger than"));
  EXPECT_THAT(ErrorOf("version = 1\n[api]\nsocket = \"/" + std::string(107, 'x') + "\"\n"), HasSubstr("longer than 107"));
}

TEST(ConfigParser, TakesExactlyTheSegmentSizesThatTheAuditLogTakes) {
  const auto good = [](const char* key, uint64_t bytes) {
    return ParseConfig("/e/b.toml", fmt::format("version = 1\n[audit]\n{} = {}\n", key, bytes)).has_value();
  };
  for (const char* key : {"segment_bytes", "reserve_bytes"}) {
    EXPECT_TRUE(good(key, audit::kLogSegmentBytesMin)) << key;
    EXPECT_TRUE(good(key, audit::kLogSegmentBytesMax)) << key;
    EXPECT_FALSE(good(key, audit::kLogSegmentBytesMin - audit::kLogSegmentBytesUnit)) << key;
    EXPECT_FALSE(good(key, audit::kLogSegmentBytesMax + audit::kLogSegmentBytesUnit)) << key;
    EXPECT_FALSE(good(key, audit::kLogSegmentBytesMin + 1)) << key;
  }
  EXPECT_FALSE(good("segment_bytes", 0));
  EXPECT_TRUE(good("reserve_bytes", 0));
  EXPECT_THAT(ErrorOf("version = 1\n[audit]\nsegment_bytes = 1073741824\n"),
              StartsWith("/e/b.toml:3:17: audit.segment_bytes: expected a multiple of 4096 from 65536 to 536870912"));
}

TEST(ConfigParser, AMissingFileIsAnErrorNotDefaults) {
  auto config = LoadConfig("/nonexistent/bulwarkd.toml");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code(), base::Code::kNotFound);
}

// In the section KEYS, a line that starts with "`gate.socket`" starts the description of a key.
TEST(ConfigManPage, DescribesExactlyTheKeysThatTheParserKnows) {
  auto page = base::ReadFile(BULWARK_SOURCE_DIR "/docs/man/bulwarkd.toml.5.md", size_t{1} << 20);
  ASSERT_TRUE(page) << page.error().message();
  const size_t begin = page->find("\n# KEYS");
  const std::string section = page->substr(begin, page->find("\n# ", begin + 1) - begin);
  std::set<std::string> described;
  for (size_t at = section.find("\n`"); at != std::string::npos; at = section.find("\n`", at + 1)) {
    described.insert(section.substr(at + 2, section.find('`', at + 2) - at - 2));
  }
  const std::vector<std::string> keys = ConfigKeys();
  EXPECT_EQ(described, std::set<std::string>(keys.begin(), keys.end()));
}

}  // namespace
}  // namespace bulwark::config
