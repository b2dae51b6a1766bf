#include "plugin/profiles/spec_limits.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "plugin/profiles/spec_hardening.h"

namespace bulwark::profiles {
namespace {

using base::Code;

constexpr char kBundle[] = "/run/containerd/io.containerd.runtime.v2.task/k8s.io/c1";

HardeningRequest Strict() {
  HardeningRequest request;
  request.forbid_host_namespaces = request.forbid_privileged = request.forbid_hooks = true;
  request.bundle = kBundle;
  request.protected_paths = {"/etc/bulwark", "/var/lib/bulwark", "/run/containerd"};
  request.unprotected_paths = {"/run/containerd/io.containerd.grpc.v1.cri/sandboxes"};
  request.host.is_host_namespace = [](const std::string&, const std::string& path) {
    return path != "/proc/77/ns/net";
  };
  request.host.resolve_path = [](const std::string& path) {
    return path == "/tmp/link" ? std::string("/etc/bulwark/policies") : CleanAbsolute(path);
  };
  return request;
}

// A spec with what is required, and these parts.
struct Parts {
  std::string root = R"({"path":"rootfs"})";
  std::string mounts = "[]";
  std::string namespaces = R"([{"type":"pid"},{"type":"ipc"},{"type":"network"},{"type":"mount"}])";
  std::string devices = R"([{"allow":false,"access":"rwm"}])";
  std::string more = "";
};

std::string SpecOf(const Parts& parts) {
  return R"({"root":)" + parts.root + R"(,"mounts":)" + parts.mounts + R"(,"linux":{"namespaces":)" + parts.namespaces +
         R"(,"resources":{"devices":)" + parts.devices + "}}" + parts.more + "}";
}

bool IsRefused(const Parts& parts, const HardeningRequest& request = Strict()) {
  const auto result = HardenRuntimeSpec(SpecOf(parts), request);
  if (result) return false;
  EXPECT_EQ(result.error().code(), Code::kPermissionDenied) << result.error().message();
  return true;
}

TEST(SpecLimitsTest, RootIsTheBundlesRootfsAndNothingElse) {
  const std::string bundle = kBundle;
  for (const std::string& path : {std::string("rootfs"), std::string("./rootfs/"), std::string("x/../rootfs"),
                                  bundle + "/rootfs", bundle + "/./rootfs/"}) {
    EXPECT_FALSE(IsRefused({.root = R"({"path":")" + path + "\"}"})) << path;
  }
  for (const std::string path : {"", "/", ".", "..", "/rootfs", "rootfs/..", "rootfs/usr", "../c2/rootfs", "rootfs\\u0000/x"}) {
    EXPECT_TRUE(IsRefused({.root = R"({"path":")" + path + "\"}"})) << path;
    EXPECT_TRUE(IsRefused({.root = R"({"path":")" + path + "\"}"}, {})) << path;
  }
  EXPECT_TRUE(IsRefused({.root = "null"}));
  HardeningRequest without_bundle;
  EXPECT_TRUE(IsRefused({.root = R"({"path":"/rootfs"})"}, without_bundle));
}

TEST(SpecLimitsTest, NothingIsMountedOverTheRoot) {
  for (const std::string path : {"/", "", ".", "..", "//", "/proc/..", "/../.", "x/../.."}) {
    EXPECT_TRUE(IsRefused({.mounts = R"([{"destination":")" + path + R"(","type":"tmpfs","source":"tmpfs"}])"}, {})) << path;
  }
  EXPECT_FALSE(IsRefused({.mounts = R"([{"destination":"/x","type":"tmpfs","source":"tmpfs"}])"}));
}

TEST(SpecLimitsTest, ARuleForAllKindsOfDevicesIsForAllDevices) {
  for (const std::string_view rule : {
           R"({"allow":true,"access":"rwm"})", R"({"allow":true,"type":"a","major":1,"minor":3,"access":"rwm"})",
           R"({"allow":true,"major":1,"minor":3,"access":"m"})", R"({"allow":true,"type":"","access":"m"})",
           R"({"allow":true,"type":"x","major":1,"minor":3,"access":"r"})", R"({"allow":true,"type":"c","access":"rw"})",
           R"({"allow":true,"type":"c","major":-1,"minor":3,"access":"rw"})", R"({"allow":true,"type":"b","major":8,"minor":0,"access":"r"})"}) {
    const Parts parts = {.devices = "[{\"allow\":false,\"access\":\"rwm\"}," + std::string(rule) + "]"};
    EXPECT_TRUE(IsRefused(parts)) << rule;
    EXPECT_FALSE(IsRefused(parts, {})) << rule;  // allowPrivileged
  }
  for (const std::string_view rule :
       {R"({"allow":true,"type":"c","major":1,"minor":3,"access":"rwm"})", R"({"allow":true,"type":"c","access":"m"})",
        R"({"allow":true,"type":"b","access":"m"})", R"({"allow":true,"type":"c","major":136,"access":"rwm"})",
        R"({"allow":false,"type":"a","access":"rwm"})"}) {
    EXPECT_FALSE(IsRefused({.devices = "[{\"allow\":false,\"access\":\"rwm\"}," + std::string(rule) + "]"})) << rule;
  }
}

TEST(SpecLimitsTest, NoTypeOfNamespaceIsGivenTwice) {
  const Parts twice = {
      .namespaces = R"([{"type":"pid"},{"type":"ipc"},{"type":"network"},{"type":"mount"},{"type":"pid","path":"/proc/77/ns/net"}])"};
  EXPECT_TRUE(IsRefused(twice));
  EXPECT_TRUE(IsRefused(twice, {}));
}

TEST(SpecLimitsTest, NoNamespaceOfTheHostIsSharedOrJoined) {
  const std::string base = R"([{"type":"pid"},{"type":"ipc"},{"type":"mount"},)";
  EXPECT_TRUE(IsRefused({.namespaces = R"([{"type":"pid"},{"type":"ipc"},{"type":"network"}])"}));  // no mount namespace
  EXPECT_FALSE(IsRefused({.namespaces = base + R"({"type":"network","path":"/proc/77/ns/net"}])"}));
  for (const std::string path : {"/proc/1/ns/net", "/proc/2/task/2/ns/net", "/proc/77/ns/net\\u0000"}) {
    const Parts joined = {.namespaces = base + R"({"type":"network","path":")" + path + "\"}]"};
    EXPECT_TRUE(IsRefused(joined)) << path;
    HardeningRequest allowed = Strict();
    allowed.forbid_host_namespaces = false;
    EXPECT_FALSE(IsRefused(joined, allowed)) << path;
  }
  EXPECT_TRUE(IsRefused({.namespaces = base + R"({"type":"network"},{"type":"uts","path":"/proc/9/ns/uts"}])"}));
  HardeningRequest blind = Strict();
  blind.host = {};
  EXPECT_TRUE(IsRefused({.namespaces = base + R"({"type":"network","path":"/proc/77/ns/net"}])"}, blind));
}

std::string BindOf(const std::string& source) {
  return R"([{"destination":"/x","type":"bind","source":")" + source + R"(","options":["rbind","rw"]}])";
}

TEST(SpecLimitsTest, NoMountReachesWhatIsProtected) {
  for (const std::string source :
       {"/", "/etc", "/etc/bulwark", "/etc/bulwark/", "/etc/bulwark/policies/a.yaml", "/var/lib", "/var/lib/kubelet/../bulwark",
        "/run", "/run/containerd/containerd.sock", "/run/containerd/s", "/run/containerd/io.containerd.grpc.v1.cri/sandboxes",
        "/tmp/link", "../../../../../etc/bulwark", ".", "/etc/bulwark\\u0000/x", "/x/../../etc/bulwark"}) {
    EXPECT_TRUE(IsRefused({.mounts = BindOf(source)})) << source;
  }
  EXPECT_TRUE(IsRefused({.mounts = R"([{"destination":"/x","source":"/etc/bulwark"}])"}));
  EXPECT_TRUE(IsRefused({.mounts = R"([{"destination":"/x","type":"none","source":"/etc/bulwark","options":["bind"]}])"}));
  HardeningRequest privileged = Strict();
  privileged.forbid_privileged = false;
  EXPECT_FALSE(IsRefused({.mounts = BindOf("/etc/bulwark")}, privileged));
}

TEST(SpecLimitsTest, WhatKubeletAndContainerdMountIsLetPass) {
  for (const std::string source :
       {"/var/lib/kubelet/pods/u/volumes/kubernetes.io~empty-dir/v", "/var/lib/kubelet/pods/u/etc-hosts", "/etc/bulwarks",
        "/run/containerd/io.containerd.grpc.v1.cri/sandboxes/s1/shm", "/dev/shm", "/run/secrets",
        "/var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/s1/resolv.conf"}) {
    EXPECT_FALSE(IsRefused({.mounts = BindOf(source)})) << source;
  }
  // As `ctr run` has them.
  EXPECT_FALSE(IsRefused({.mounts = R"([{"destination":"/proc","type":"proc","source":"proc"},
    {"destination":"/dev","type":"tmpfs","source":"tmpfs"},{"destination":"/dev/pts","type":"devpts","source":"devpts"},
    {"destination":"/dev/shm","type":"tmpfs","source":"shm"},{"destination":"/dev/mqueue","type":"mqueue","source":"mqueue"},
    {"destination":"/sys","type":"sysfs","source":"sysfs"},{"destination":"/run","type":"tmpfs","source":"tmpfs"}])"}));
}

TEST(SpecLimitsTest, HooksNeedToBeAllowed) {
  const Parts hooked = {.more = R"(,"hooks":{"createRuntime":[{"path":"/bin/x"}]})"};
  EXPECT_TRUE(IsRefused(hooked));
  EXPECT_TRUE(IsRefused({.more = R"(,"hooks":{"PreStart":[{"path":"/bin/x"}]})"}));  // as Go reads it
  EXPECT_FALSE(IsRefused({.more = R"(,"hooks":{"prestart":[]})"}));
  EXPECT_FALSE(IsRefused(hooked, {}));
}

TEST(SpecLimitsTest, OnlyUsualFileSystemsAreMounted) {
  for (const std::string type : {"proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2"}) {
    EXPECT_FALSE(IsRefused({.mounts = R"([{"destination":"/x","type":")" + type + R"(","source":"x"}])"})) << type;
  }
  for (const std::string type : {"overlay", "ext4", "fuse", "none", ""}) {
    const Parts parts = {.mounts = R"([{"destination":"/x","type":")" + type + R"(","source":"x"}])"};
    EXPECT_TRUE(IsRefused(parts)) << type;
    EXPECT_FALSE(IsRefused(parts, {})) << type;  // allowPrivileged
  }
}

TEST(SpecLimitsTest, NoSourceDependsOnWhoLooks) {
  for (const std::string source : {"/proc/self/cwd/../../x", "//proc//self/root/x", "/x/../proc/thread-self", "/dev/fd/3",
                                   "/proc/./self/../1/root"}) {
    EXPECT_TRUE(IsRefused({.mounts = R"([{"destination":"/x","type":"bind","source":")" + source + R"("}])"})) << source;
  }
  EXPECT_FALSE(IsRefused({.mounts = R"([{"destination":"/x","type":"bind","source":"/proc/selfish"}])"}));
}

TEST(SpecLimitsTest, CleansPathsWithoutLookingAtThem) {
  EXPECT_EQ(CleanAbsolute(""), "/");
  EXPECT_EQ(CleanAbsolute("//a//./b/"), "/a/b");
  EXPECT_EQ(CleanAbsolute("/../a/../.."), "/");
  EXPECT_EQ(CleanAbsolute("a"), "/a");
}

}  // namespace
}  // namespace bulwark::profiles
