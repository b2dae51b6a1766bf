#include "shim/command/info.h"

#include <gtest/gtest.h>

#include "shim/command/command_test_fixture.h"

namespace bulwark::shim {
namespace {

class InfoTest : public CommandTest {
 protected:
  std::string MakeRuntime(const std::string& script) {
    const std::string path = directory_ + "/runtime.sh";
    std::ofstream(path) << "#!/bin/sh\n" << script << "\n";
    chmod(path.c_str(), 0755);
    return path;
  }
  static std::string OptionsNaming(const std::string& binary) {
    containerd::runc::Options options;
    options.set_binary_name(binary);
    containerd::wire::Any any;
    any.set_type_url("containerd.runc.v1.Options");
    any.set_value(options.SerializeAsString());
    return any.SerializeAsString();
  }
};

TEST_F(InfoTest, PassesTheFeaturesOfTheRuntimeOn) {
  const std::string runtime =
      MakeRuntime(R"([ "$1" = features ] && echo '{"ociVersionMin":"1.0.0"}')");
  const auto info = RuntimeInfo(OptionsNaming(runtime));
  ASSERT_TRUE(info.has_value()) << info.error().message();
  EXPECT_NE(info->find("{\"ociVersionMin\":\"1.0.0\"}"), std::string::npos);
  EXPECT_NE(info->find("opencontainers/runtime-spec/1/features/Features"), std::string::npos);
  EXPECT_EQ(info->substr(0, 2 + std::string_view(kRuntimeName).size()),
            std::string("\x0a\x18") + kRuntimeName);
}

TEST_F(InfoTest, AWarningOfTheRuntimeIsNoPartOfItsFeatures) {
  const std::string runtime = MakeRuntime("echo warning >&2; echo '{\"ociVersionMin\":\"1.0.0\"}'");
  const auto info = RuntimeInfo(OptionsNaming(runtime));
  ASSERT_TRUE(info.has_value()) << info.error().message();
  EXPECT_NE(info->find("ociVersionMin"), std::string::npos);
  EXPECT_EQ(info->find("warning"), std::string::npos);
}

TEST_F(InfoTest, LeavesFeaturesOutIfTheRuntimeHasNone) {
  for (const char* script : {"exit 1", "echo not json"}) {
    const auto info = RuntimeInfo(OptionsNaming(MakeRuntime(script)));
    ASSERT_TRUE(info.has_value());
    EXPECT_EQ(info->find("Features"), std::string::npos);
    // Parses as protobuf: the first two fields are those of BootstrapParams, both strings.
    containerd::runc::BootstrapParams fields;
    ASSERT_TRUE(fields.ParseFromString(*info));
    EXPECT_EQ(fields.instance_id(), kRuntimeName);
  }
}

TEST_F(InfoTest, FailsForARuntimeThatDoesNotExist) {
  EXPECT_EQ(RuntimeInfo(OptionsNaming(directory_ + "/absent")).error().code(),
            base::Code::kNotFound);
  EXPECT_EQ(RuntimeInfo("\xff").error().code(), base::Code::kInvalidArgument);
}

TEST_F(InfoTest, TheVersionIsForPeople) {
  MakeBundle("c1");
  const base::CapturedOutput done = Run("c1", {"-v"}, "");
  EXPECT_EQ(done.exit_status, 0);
  EXPECT_EQ(done.output.rfind("shim_command_test_shim:\n  Version:", 0), 0u) << done.output;
}

}  // namespace
}  // namespace bulwark::shim
