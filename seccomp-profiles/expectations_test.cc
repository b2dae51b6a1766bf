// Holds every shipped profile to its table in expectations/, on the program that the runtimes would load.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "lib/seccomp/bpf_evaluator.h"
#include "lib/seccomp/compiler.h"
#include "lib/seccomp/profile_json.h"
#include "lib/seccomp/profile_merge.h"

namespace bulwark::seccomp {
namespace {

const std::string kDirectory = std::string(BULWARK_SOURCE_DIR) + "/seccomp-profiles/";

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

struct Expectation {
  std::string architecture;  // "SCMP_ARCH_X86_64"
  std::string syscall;
  std::vector<uint64_t> args;
  Outcome outcome;
};

std::optional<Expectation> ParseLine(std::string line) {
  line = line.substr(0, line.find('#'));
  std::istringstream words(line);
  std::string word;
  Expectation expectation;
  if (!(words >> word)) return std::nullopt;
  expectation.architecture = "SCMP_ARCH_";
  for (const char c : word) expectation.architecture += static_cast<char>(toupper(c));
  words >> expectation.syscall;
  while (words >> word && word != "->") expectation.args.push_back(strtoull(word.c_str(), nullptr, 0));
  EXPECT_TRUE(words >> word) << "no outcome: " << line;
  if (word == "allow") {
    expectation.outcome = {Action::kAllow, 0};
  } else if (word == "errno") {
    expectation.outcome.action = Action::kErrno;
    words >> expectation.outcome.value;
  } else {
    EXPECT_EQ(word, "kill") << line;
    expectation.outcome = {Action::kKillThread, 0};
  }
  return expectation;
}

// Architectures that this machine's kernel can run; the table names others, too.
bool RunsHere(const std::string& architecture) {
  const std::string native(NativeArchitecture());
  if (architecture == native) return true;
  return native == "SCMP_ARCH_X86_64" &&
         (architecture == "SCMP_ARCH_X86" || architecture == "SCMP_ARCH_X32");
}

// libseccomp resolves names only for real calls of that architecture; i386's multiplexed ones are not in the tables.
void Check(const Profile& profile, const std::string& name) {
  const auto compiled = Compile(profile);
  ASSERT_TRUE(compiled.has_value()) << compiled.error().message();
  std::istringstream lines(ReadText(kDirectory + "expectations/" + name + ".txt"));
  size_t checked = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto expectation = ParseLine(line);
    if (!expectation.has_value() || !RunsHere(expectation->architecture)) continue;
    const auto number = SyscallNumber(expectation->architecture, expectation->syscall);
    ASSERT_TRUE(number.has_value()) << line;
    seccomp_data data = {};
    data.arch = AuditArchitecture(expectation->architecture).value();
    data.nr = *number;
    std::copy(expectation->args.begin(), expectation->args.end(), data.args);
    EXPECT_EQ(Evaluate(compiled->program, data).value(), expectation->outcome) << line;
    ++checked;
  }
  EXPECT_GT(checked, NativeArchitecture() == "SCMP_ARCH_X86_64" ? 40u : 1u);
}

Profile Load(const std::string& name) {
  auto profile = ParseProfile(ReadText(kDirectory + name + ".json"));
  EXPECT_TRUE(profile.has_value()) << profile.error().message();
  return *profile;
}

class ShippedProfileTest : public testing::TestWithParam<const char*> {};

TEST_P(ShippedProfileTest, DoesWhatItsTableSays) { Check(Load(GetParam()), GetParam()); }

TEST_P(ShippedProfileTest, IntersectionWithItselfDoesTheSame) {
  const Profile profile = Load(GetParam());
  const auto merged = Intersect(profile, profile);
  ASSERT_TRUE(merged.has_value());
  EXPECT_TRUE(merged->unmergeable.empty()) << merged->unmergeable.front();
  EXPECT_TRUE(merged->notes.empty()) << merged->notes.front();
  Check(merged->profile, GetParam());
}

TEST_P(ShippedProfileTest, HasNoFlagsAndRefusesByErrno) {
  const Profile profile = Load(GetParam());
  EXPECT_TRUE(profile.flags.empty());
  EXPECT_EQ(profile.default_outcome, (Outcome{Action::kErrno, 1}));
}

TEST_P(ShippedProfileTest, PrintsAsOciAndReadsBackTheSame) {
  const std::string text = PrintProfile(Load(GetParam()));
  const auto again = ParseProfile(text);
  ASSERT_TRUE(again.has_value()) << again.error().message();
  EXPECT_EQ(PrintProfile(*again), text);
}

INSTANTIATE_TEST_SUITE_P(All, ShippedProfileTest, testing::Values("baseline", "strict"));

TEST(ShippedProfilesTest, StrictWithinBaselineLosesNothing) {
  const auto merged = Intersect(Load("baseline"), Load("strict"));
  ASSERT_TRUE(merged.has_value());
  EXPECT_TRUE(merged->unmergeable.empty()) << merged->unmergeable.front();
  Check(merged->profile, "strict");
}

}  // namespace
}  // namespace bulwark::seccomp
