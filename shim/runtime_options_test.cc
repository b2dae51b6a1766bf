#include "shim/runtime_options.h"

#include <gtest/gtest.h>

namespace bulwark::shim {
namespace {

using containerd::runc::Options;

containerd::wire::Any AnyOf(const std::string& type, const std::string& value) {
  containerd::wire::Any any;
  any.set_type_url(type);
  any.set_value(value);
  return any;
}

TEST(RuntimeOptions, AbsentOptionsGiveTheDefaults) {
  auto options = ParseRuntimeOptions({});
  ASSERT_TRUE(options);
  EXPECT_EQ(RuntimeBinary(*options), "runc");
  EXPECT_EQ(RuntimeRoot(*options, "k8s.io"), "/run/containerd/runc/k8s.io");
  EXPECT_EQ(OptionsJson(*options), "{}");
}

TEST(RuntimeOptions, ReadsRuncOptionsWithAndWithoutTheUrlPrefix) {
  Options options;
  options.set_binary_name("crun");
  options.set_root("/run/docker/runtime-runc/");
  options.set_systemd_cgroup(true);
  for (const char* type :
       {"containerd.runc.v1.Options", "type.googleapis.com/containerd.runc.v1.Options"}) {
    auto parsed = ParseRuntimeOptions(AnyOf(type, options.SerializeAsString()));
    ASSERT_TRUE(parsed) << type;
    EXPECT_EQ(RuntimeBinary(*parsed), "crun");
    EXPECT_EQ(RuntimeRoot(*parsed, "moby"), "/run/docker/runtime-runc/moby");
    EXPECT_EQ(OptionsJson(*parsed),
              R"({"binary_name":"crun","root":"/run/docker/runtime-runc/","systemd_cgroup":true})");
  }
}

TEST(RuntimeOptions, ReadsTheTomlBodyOfGenericOptions) {
  containerd::runc::RuntimeOptions generic;
  generic.set_config_body(
      "# made by CRI\n"
      "BinaryName = \"crun\"   # which\n"
      "systemdcgroup = true\r\n"
      "Root = '/run/x'\n"
      "IoUid = 1000\n"
      "\n"
      "  TypeUrl = \"\"\n"
      "NoPivotRoot=false");
  auto parsed =
      ParseRuntimeOptions(AnyOf("runtimeoptions.v1.Options", generic.SerializeAsString()));
  ASSERT_TRUE(parsed) << parsed.error().message();
  EXPECT_EQ(parsed->binary_name(), "crun");
  EXPECT_TRUE(parsed->systemd_cgroup());
  EXPECT_EQ(parsed->root(), "/run/x");
  EXPECT_EQ(parsed->io_uid(), 1000u);
  EXPECT_FALSE(parsed->no_pivot_root());
}

TEST(RuntimeOptions, RefusesTomlThatItDoesNotUnderstand) {
  for (const char* toml :
       {"BinaryName = crun", "BinaryName = \"a\" b", "Binary = \"a\"", "[options]",
        "Root = \"a\\u0000\"", "SystemdCgroup = yes", "SystemdCgroup = trueish", "IoUid = -1",
        "IoUid = 99999999999", "Root = \"open", "Root", "Root ="}) {
    auto parsed = ParseTomlOptions(toml);
    ASSERT_FALSE(parsed) << toml;
    EXPECT_EQ(parsed.error().code(), base::Code::kInvalidArgument);
    EXPECT_NE(parsed.error().message().find("line 1"), std::string::npos);
  }
}

TEST(RuntimeOptions, RefusesAnExternalConfigFileAndUnknownTypes) {
  containerd::runc::RuntimeOptions generic;
  generic.set_config_path("/etc/x.toml");
  EXPECT_FALSE(
      ParseRuntimeOptions(AnyOf("runtimeoptions.v1.Options", generic.SerializeAsString())));
  EXPECT_FALSE(ParseRuntimeOptions(AnyOf("containerd.runhcs.v1.Options", "")));
  EXPECT_FALSE(ParseRuntimeOptions(AnyOf("containerd.runc.v1.Options", "\xff\xff")));
}

}  // namespace
}  // namespace bulwark::shim
