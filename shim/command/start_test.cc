#include "shim/command/start.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "lib/base/unix_socket.h"
#include "shim/command/command_test_fixture.h"

namespace bulwark::shim {
namespace {

Args ArgsFor(const std::string& id) {
  Args args;
  args.containerd_namespace = "ns";
  args.id = id;
  args.address = "/run/containerd/containerd.sock";
  return args;
}

std::string AnyOf(const std::string& type_url, const std::string& value) {
  containerd::wire::Any any;
  any.set_type_url(type_url);
  any.set_value(value);
  return any.SerializeAsString();
}

TEST(StartInput, IsEmptyForEmptyStdin) {
  const auto input = ParseStartInput("", ArgsFor("c1"));
  ASSERT_TRUE(input.has_value());
  EXPECT_TRUE(input->shim_cgroup.empty());
  EXPECT_TRUE(input->socket_directory.empty());
}

TEST(StartInput, ReadsAnAnyOfOptions) {
  containerd::runc::Options options;
  options.set_shim_cgroup("/shims");
  EXPECT_EQ(ParseStartInput(AnyOf("containerd.runc.v1.Options", options.SerializeAsString()),
                            ArgsFor("c1"))
                ->shim_cgroup,
            "/shims");
  containerd::runc::RuntimeOptions generic;
  generic.set_config_body("ShimCgroup = \"/other\"\n");
  EXPECT_EQ(ParseStartInput(AnyOf("runtimeoptions.v1.Options", generic.SerializeAsString()),
                            ArgsFor("c1"))
                ->shim_cgroup,
            "/other");
}

TEST(StartInput, ReadsBootstrapParamsOnlyIfTheyAreForThisContainer) {
  containerd::runc::BootstrapParams params;
  params.set_instance_id("c1");
  params.set_namespace_("ns");
  params.set_log_level(-4);
  params.set_socket_dir("/run/other/s");
  const auto input = ParseStartInput(params.SerializeAsString(), ArgsFor("c1"));
  ASSERT_TRUE(input.has_value());
  EXPECT_EQ(input->socket_directory, "/run/other/s");
  EXPECT_TRUE(input->is_debug);
  // For another container the bytes are an Any whose type is "c1": options nobody knows.
  EXPECT_FALSE(ParseStartInput(params.SerializeAsString(), ArgsFor("c2")).has_value());
  params.set_socket_dir("relative");
  EXPECT_FALSE(ParseStartInput(params.SerializeAsString(), ArgsFor("c1")).has_value());
}

TEST(StartInput, RefusesOtherBytes) {
  EXPECT_EQ(ParseStartInput("\xff\xff\xff", ArgsFor("c1")).error().code(),
            base::Code::kInvalidArgument);
}

// The digest by `printf %s /run/containerd/containerd.sock/ns/c1 | sha256sum`.
TEST(SocketPath, IsNamedAsUpstreamNamesIt) {
  EXPECT_EQ(SocketPath("/run/containerd/s", ArgsFor("c1"), "c1"),
            "/run/containerd/s/1d658a6012f0e65eb8a8d3c9da90be4fdf57916b236c8fed1b25fdd2d92fd8ba");
  Args unclean = ArgsFor("c1");
  unclean.address = "/run//containerd/./x/../containerd.sock/";
  EXPECT_EQ(SocketPath("/s", unclean, "c1"), SocketPath("/s", ArgsFor("c1"), "c1"));
  EXPECT_NE(SocketPath("/s", ArgsFor("c1"), "c1"), SocketPath("/s", ArgsFor("c1"), "c2"));
}

using StartTest = CommandTest;

TEST_F(StartTest, PrintsOnlyTheAddressOfAShimThatServes) {
  const std::string bundle = MakeBundle("c1");
  const std::string address = StartShim("c1");
  EXPECT_EQ(address, "unix://" + SocketPath(sockets_, ArgsFor("c1"), "c1"));
  EXPECT_GT(ShimAt(address), 0);
  EXPECT_EQ(base::ReadFile(bundle + "/address", 1024).value_or(""), address);
  struct stat info {};
  ASSERT_EQ(stat(address.substr(7).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  char link[1024] = {};
  ASSERT_GT(readlink((bundle + "/s").c_str(), link, sizeof link - 1), 0);
  EXPECT_EQ(link, sockets_);
}

TEST_F(StartTest, TheServingProcessRunsInTheBundleInAGroupOfItsOwnWithTheRightScore) {
  const std::string bundle = MakeBundle("c1");
  const pid_t shim = ShimAt(StartShim("c1"));
  ASSERT_GT(shim, 0);
  EXPECT_EQ(getpgid(shim), shim);
  const std::string proc = "/proc/" + std::to_string(shim);
  char cwd[1024] = {};
  ASSERT_GT(readlink((proc + "/cwd").c_str(), cwd, sizeof cwd - 1), 0);
  EXPECT_EQ(cwd, bundle);
  const int ours = std::stoi(base::ReadPseudoFile("/proc/self/oom_score_adj", 64).value());
  const int theirs = std::stoi(base::ReadPseudoFile(proc + "/oom_score_adj", 64).value());
  EXPECT_EQ(theirs, std::min(ours + 1, 1000));
  const std::string line = base::ReadPseudoFile(proc + "/cmdline", 4096).value();
  const std::string words = line.substr(line.find('\0'));
  using namespace std::string_literals;
  EXPECT_EQ(words,
            "\0-namespace\0ns\0-id\0c1\0-address\0/run/containerd/containerd.sock\0-debug\0"s);
}

TEST_F(StartTest, ContainersOfAPodShareItsShim) {
  const char* pod = R"({"io.kubernetes.cri.sandbox-id":"pod1"})";
  MakeBundle("pod1", pod);
  const std::string bundle = MakeBundle("app1", pod);
  MakeBundle("lone", R"({"io.containerd.runc.v2.group":"g"})");
  const std::string first = StartShim("pod1");
  const std::string second = StartShim("app1");
  EXPECT_EQ(first, second);
  EXPECT_EQ(ShimAt(first), ShimAt(second));
  EXPECT_EQ(base::ReadFile(bundle + "/address", 1024).value_or(""), first);
  EXPECT_NE(StartShim("lone"), first);
}

TEST_F(StartTest, AForgedGroupDoesNotMoveAPodIntoAnothersShim) {
  MakeBundle("victim", R"({"io.kubernetes.cri.sandbox-id":"victim"})");
  MakeBundle(
      "intruder",
      R"({"io.kubernetes.cri.sandbox-id":"intruder","io.containerd.runc.v2.group":"victim"})");
  EXPECT_NE(StartShim("victim"), StartShim("intruder"));
}

TEST_F(StartTest, ReplacesTheSocketOfADeadShim) {
  MakeBundle("c1");
  const pid_t dead = ShimAt(StartShim("c1"));
  ASSERT_EQ(kill(dead, SIGKILL), 0);
  WaitUntilGone(dead);
  const pid_t living = ShimAt(StartShim("c1"));
  EXPECT_GT(living, 0);
  EXPECT_NE(living, dead);
}

TEST_F(StartTest, NeverJoinsTheShimOfAnotherRuntime) {
  const char* pod = R"({"io.kubernetes.cri.sandbox-id":"pod1"})";
  MakeBundle("pod1", pod);
  MakeBundle("app1", pod);
  environment_ = {"BULWARK_TEST_SHIM_VERSION=stock"};
  const std::string stock = StartShim("pod1");
  environment_.clear();
  const std::string ours = StartShim("app1");
  EXPECT_NE(ours, stock);
  EXPECT_GT(ShimAt(ours), 0);
}

TEST_F(StartTest, ManyStartsOfOneGroupAtOnceGetOneShim) {
  constexpr int kStarts = 8;
  std::vector<base::CapturedOutput> done(kStarts);
  std::vector<std::thread> threads;
  for (int i = 0; i < kStarts; ++i) {
    MakeBundle("c" + std::to_string(i), R"({"io.kubernetes.cri.sandbox-id":"pod1"})");
  }
  for (int i = 0; i < kStarts; ++i) {
    threads.emplace_back([this, i, &done] {
      const std::string id = "c" + std::to_string(i);
      done[static_cast<size_t>(i)] = Run(id, {"start"}, Bootstrap(id));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const base::CapturedOutput& one : done) {
    EXPECT_EQ(one.exit_status, 0);
    EXPECT_EQ(one.output, done[0].output);
  }
  shims_.push_back(ShimAt(done[0].output));
  EXPECT_GT(shims_.back(), 0);
}

TEST_F(StartTest, FailsWithOneLineAndLeavesNoSocket) {
  const std::string bundle = MakeBundle("c1");
  const base::CapturedOutput no_cgroup = Run("c1", {"start"}, Bootstrap("c1", "/no/such/cgroup"));
  EXPECT_EQ(no_cgroup.exit_status, 1);
  EXPECT_EQ(no_cgroup.output.rfind("start shim: ", 0), 0u) << no_cgroup.output;
  EXPECT_EQ(std::count(no_cgroup.output.begin(), no_cgroup.output.end(), '\n'), 1);
  EXPECT_TRUE(base::ListDirectory(sockets_, 10)->empty());

  ASSERT_EQ(unlink((bundle + "/config.json").c_str()), 0);
  const base::CapturedOutput no_spec = Run("c1", {"start"}, Bootstrap("c1"));
  EXPECT_EQ(no_spec.exit_status, 1);
  EXPECT_NE(no_spec.output.find("config.json"), std::string::npos);
}

TEST_F(StartTest, AShimThatHangsIsAnErrorNotASecondShim) {
  MakeBundle("c1");
  ASSERT_TRUE(base::MakeDirectories(sockets_, 0700).has_value());
  const auto listener = base::ListenUnix(SocketPath(sockets_, ArgsFor("c1"), "c1"), 0600);
  ASSERT_TRUE(listener.has_value());
  const base::CapturedOutput done = Run("c1", {"start"}, Bootstrap("c1"));
  EXPECT_EQ(done.exit_status, 1);
  EXPECT_NE(done.output.find("does not answer"), std::string::npos) << done.output;
}

}  // namespace
}  // namespace bulwark::shim
