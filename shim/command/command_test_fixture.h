// For tests of the commands as processes: a bundle in a directory of its own, and the test shim run
// in it.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "containerd/runc_options.pb.h"
#include "containerd/task.pb.h"
#include "lib/base/file_io.h"
#include "lib/base/spawn.h"
#include "lib/ttrpc/client.h"
#include "shim/command/start.h"

namespace bulwark::shim {

class CommandTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "shim.XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    directory_ = name;
    sockets_ = directory_ + "/s";
  }
  void TearDown() override {
    for (const pid_t shim : shims_) kill(shim, SIGKILL);
  }

  std::string MakeBundle(const std::string& id, const std::string& annotations = "{}") {
    const std::string bundle = directory_ + "/" + id;
    mkdir(bundle.c_str(), 0700);
    mkdir((bundle + "/rootfs").c_str(), 0711);
    std::ofstream(bundle + "/config.json")
        << R"({"ociVersion":"1.0.2","process":{"args":["sh"]},"annotations":)" << annotations
        << "}";
    return bundle;
  }

  base::CapturedOutput Run(const std::string& id, std::vector<std::string> arguments,
                           const std::string& input) {
    base::SpawnOptions spawn;
    spawn.argv = {std::string(BULWARK_BIN_DIR) + "/shim_command_test_shim",
                  "-namespace",
                  "ns",
                  "-id",
                  id,
                  "-address",
                  "/run/containerd/containerd.sock",
                  "-publish-binary",
                  "/usr/bin/containerd"};
    spawn.argv.insert(spawn.argv.end(), arguments.begin(), arguments.end());
    spawn.environment = {{"PATH=" + std::string(getenv("PATH")),
                          "BULWARK_GATE_SOCKET=" + directory_ + "/gate.sock",
                          "BULWARK_SPOOL_DIR=" + directory_ + "/spool"}};
    for (const std::string& variable : environment_) spawn.environment->push_back(variable);
    spawn.working_directory = directory_ + "/" + id;
    auto done = base::RunCommand(std::move(spawn), input, 1 << 20, 10'000);
    EXPECT_TRUE(done.has_value()) << done.error().message();
    return done ? *std::move(done) : base::CapturedOutput{-1, ""};
  }

  // As containerd 2.3 and later write it, so that sockets go to a directory of the test.
  std::string Bootstrap(const std::string& id, const std::string& shim_cgroup = {}) const {
    containerd::runc::BootstrapParams params;
    params.set_instance_id(id);
    params.set_namespace_("ns");
    params.set_log_level(-4);
    params.set_socket_dir(sockets_);
    if (!shim_cgroup.empty()) {
      containerd::runc::Options options;
      options.set_shim_cgroup(shim_cgroup);
      auto* any = params.add_extensions()->mutable_value();
      any->set_type_url("containerd.runc.v1.Options");
      any->set_value(options.SerializeAsString());
    }
    return params.SerializeAsString();
  }

  std::string StartShim(const std::string& id) {
    const base::CapturedOutput done = Run(id, {"start"}, Bootstrap(id));
    EXPECT_EQ(done.exit_status, 0) << done.output;
    const pid_t shim = ShimAt(done.output);
    if (shim > 0) shims_.push_back(shim);
    return done.output;
  }

  // The pid of the shim that answers at an address, 0 if none does.
  static pid_t ShimAt(const std::string& address) {
    if (address.rfind("unix://", 0) != 0) return 0;
    const auto answer =
        ttrpc::CallBlocking(address.substr(7), "containerd.task.v2.Task", "Connect", "", 3'000);
    containerd::task::ConnectResponse response;
    if (!answer || !response.ParseFromString(*answer)) return 0;
    return static_cast<pid_t>(response.shim_pid());
  }
  static void WaitUntilGone(pid_t pid) {
    for (int i = 0; i < 500 && kill(pid, 0) == 0; ++i) {
      const std::string state =
          base::ReadPseudoFile("/proc/" + std::to_string(pid) + "/stat", 4096).value_or("");
      if (state.find(") Z ") != std::string::npos) return;
      usleep(10'000);
    }
  }

  std::string directory_;
  std::string sockets_;
  std::vector<std::string> environment_;
  std::vector<pid_t> shims_;
};

}  // namespace bulwark::shim
