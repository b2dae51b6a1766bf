// Starts real containers from hardened specs, with runc and with crun, and looks at what the kernel made of them. Needs
// root and the runtimes; skipped otherwise.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "lib/base/spawn.h"
#include "lib/seccomp/profile_json.h"
#include "plugin/profiles/profile_store.h"
#include "plugin/profiles/spec_hardening.h"

namespace bulwark::profiles {
namespace {

constexpr std::string_view kBusybox = "/bin/busybox";

// A spec as containerd writes one, less what does not matter here: the fourteen usual capabilities, no seccomp.
std::string SpecFor(const std::string& script) {
  const std::string caps =
      R"(["CAP_CHOWN","CAP_DAC_OVERRIDE","CAP_FSETID","CAP_FOWNER","CAP_MKNOD","CAP_NET_RAW","CAP_SETGID","CAP_SETUID",)"
      R"("CAP_SETFCAP","CAP_SETPCAP","CAP_NET_BIND_SERVICE","CAP_SYS_CHROOT","CAP_KILL","CAP_AUDIT_WRITE"])";
  return R"({"ociVersion":"1.0.2","process":{"user":{"uid":0,"gid":0},"cwd":"/","env":["PATH=/bin"],"args":["/bin/busybox","sh","-c",")" +
         script + R"("],"capabilities":{"bounding":)" + caps + R"(,"effective":)" + caps + R"(,"permitted":)" + caps +
         R"(}},"root":{"path":"rootfs"},"hostname":"test","mounts":[{"destination":"/proc","type":"proc","source":"proc"}],)"
         R"("linux":{"namespaces":[{"type":"pid"},{"type":"ipc"},{"type":"uts"},{"type":"mount"},{"type":"network"}],)"
         R"("maskedPaths":["/proc/kcore"]}})";
}

bool IsMounted(const std::string& path) {
  std::ifstream mounts("/proc/self/mounts");
  const std::string text(std::istreambuf_iterator<char>(mounts), {});
  return text.find(" " + path + " ") != std::string::npos;
}

class RuntimeStartTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    if (access(kBusybox.data(), X_OK) != 0) GTEST_SKIP() << "needs " << kBusybox;
    if (!Run({GetParam(), "--version"}).has_value()) GTEST_SKIP() << "needs " << GetParam();
    // crun 1.8 refuses a version 1 hierarchy in which hugetlb is not mounted.
    if (GetParam() == std::string("crun") && IsMounted("/sys/fs/cgroup/cpu") &&
        !IsMounted("/sys/fs/cgroup/hugetlb")) {
      GTEST_SKIP() << "crun needs the hugetlb controller mounted";
    }
    char name[] = "/tmp/runtime_start_test.XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    root_ = name;
    std::filesystem::create_directories(root_ + "/rootfs/bin");
    std::filesystem::create_directories(root_ + "/rootfs/proc");
    std::filesystem::create_directories(root_ + "/rootfs/dev");
    std::filesystem::copy_file(kBusybox, root_ + "/rootfs/bin/busybox");
    auto store = ProfileStore::Load({std::string(BULWARK_SOURCE_DIR) + "/seccomp-profiles"});
    ASSERT_TRUE(store.has_value());
    store_ = std::move(*store);
  }
  void TearDown() override {
    if (root_.empty()) return;
    // Fails if the container is gone already, as it should be.
    static_cast<void>(Run({GetParam(), "--root", root_ + "/state", "delete", "-f", id_}).has_value());
    std::filesystem::remove_all(root_);
  }

  static base::Result<base::CapturedOutput> Run(std::vector<std::string> argv,
                                                const std::string& directory = "/") {
    base::SpawnOptions options;
    options.argv = std::move(argv);
    options.working_directory = directory;
    return base::RunCommand(options, "", 1u << 20, 30'000);
  }

  HardeningRequest With(const std::string& profile, bool no_new_privileges) {
    HardeningRequest request;
    request.seccomp = store_.Get(profile).value().profile;
    request.seccomp_name = profile;
    request.no_new_privileges = no_new_privileges;
    return request;
  }

  std::string Output(const std::string& script, const HardeningRequest& request) {
    auto hardened = HardenRuntimeSpec(SpecFor(script), request);
    EXPECT_TRUE(hardened.has_value()) << hardened.error().message();
    std::ofstream(root_ + "/config.json") << hardened->spec_json;
    auto run = Run({GetParam(), "--root", root_ + "/state", "run", id_}, root_);
    EXPECT_TRUE(run.has_value()) << run.error().message();
    return run.has_value() ? run->output : "";
  }

  std::string root_;
  std::string id_ = "bulwark-profiles-test-" + std::to_string(getpid());
  ProfileStore store_;
};

bool Has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// Busybox forks, pipes and reads; the denied call is a mount, which root without CAP_SYS_ADMIN may not do either, so the
// proof of the filter is in strict's mkdir.
constexpr const char* kLook =
    "/bin/busybox cat /proc/self/status | /bin/busybox grep -E '^(Seccomp|CapBnd|NoNewPrivs):'; "
    "/bin/busybox mkdir /made && echo MKDIR-DONE; /bin/busybox unshare -m true || echo UNSHARE-REFUSED";

TEST_P(RuntimeStartTest, StartsUnderBaselineWithAndWithoutNoNewPrivileges) {
  for (const bool no_new_privileges : {false, true}) {
    std::filesystem::remove_all(root_ + "/rootfs/made");
    const std::string output = Output(kLook, With("baseline", no_new_privileges));
    EXPECT_TRUE(Has(output, "Seccomp:\t2")) << output;
    EXPECT_TRUE(Has(output, no_new_privileges ? "NoNewPrivs:\t1" : "NoNewPrivs:\t0")) << output;
    EXPECT_TRUE(Has(output, "CapBnd:\t00000000a80425fb")) << output;
    EXPECT_TRUE(Has(output, "MKDIR-DONE")) << output;
    EXPECT_TRUE(Has(output, "UNSHARE-REFUSED")) << output;
  }
}

TEST_P(RuntimeStartTest, StartsUnderStrictAndRefusesMkdir) {
  const std::string output = Output(kLook, With("strict", true));
  EXPECT_TRUE(Has(output, "Seccomp:\t2")) << output;
  EXPECT_TRUE(Has(output, "NoNewPrivs:\t1")) << output;
  EXPECT_FALSE(Has(output, "MKDIR-DONE")) << output;
  EXPECT_TRUE(Has(output, "Operation not permitted")) << output;
}

TEST_P(RuntimeStartTest, BoundsCapabilitiesAndPaths) {
  HardeningRequest request = With("baseline", true);
  request.capabilities_max = {"CAP_KILL", "CAP_SYS_ADMIN"};
  request.readonly_rootfs = true;
  request.masked_paths = {"/proc/meminfo"};
  const std::string output =
      Output(std::string(kLook) + "; /bin/busybox wc -c /proc/meminfo", request);
  EXPECT_TRUE(Has(output, "CapBnd:\t0000000000000020")) << output;  // CAP_KILL alone
  EXPECT_TRUE(Has(output, "Read-only file system")) << output;
  EXPECT_TRUE(Has(output, "0 /proc/meminfo")) << output;
}

TEST_P(RuntimeStartTest, StartsUnderTheIntersectionOfBoth) {
  auto first = HardenRuntimeSpec(SpecFor(kLook), With("baseline", true));
  ASSERT_TRUE(first.has_value());
  auto second = HardenRuntimeSpec(first->spec_json, With("strict", true));
  ASSERT_TRUE(second.has_value()) << second.error().message();
  std::ofstream(root_ + "/config.json") << second->spec_json;
  auto run = Run({GetParam(), "--root", root_ + "/state", "run", id_}, root_);
  ASSERT_TRUE(run.has_value());
  EXPECT_TRUE(Has(run->output, "Seccomp:\t2")) << run->output;
  EXPECT_FALSE(Has(run->output, "MKDIR-DONE")) << run->output;
}

INSTANTIATE_TEST_SUITE_P(Runtimes, RuntimeStartTest, testing::Values("runc", "crun"));

}  // namespace
}  // namespace bulwark::profiles
