#include "plugin/profiles/spec_hardening.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/oci/json_document.h"
#include "lib/oci/runtime_spec.h"
#include "lib/seccomp/profile_json.h"

namespace bulwark::profiles {
namespace {

using base::Code;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view kSpec = R"({"ociVersion":"1.0.2","process":{"args":["sh"],"cwd":"/","user":{"uid":0,"gid":0},
  "capabilities":{"bounding":["CAP_CHOWN","CAP_SYS_ADMIN"],"effective":["CAP_CHOWN","CAP_SYS_ADMIN"],
  "permitted":["CAP_CHOWN","CAP_SYS_ADMIN"],"inheritable":["CAP_SYS_ADMIN"],"ambient":[]}},
  "root":{"path":"rootfs"},"annotations":{"run.oci.handler":"wasm","org.criu.config":"/x","keep":"1"},
  "linux":{"maskedPaths":["/proc/kcore"],"namespaces":[{"type":"pid"},{"type":"ipc"},{"type":"network"},{"type":"mount"}],
  "resources":{"devices":[{"allow":false,"access":"rwm"}],"unknown":18446744073709551615}},"x-unknown":{"b":1,"a":2}})";

std::shared_ptr<const seccomp::Profile> ProfileOf(std::string_view json) {
  return std::make_shared<seccomp::Profile>(seccomp::ParseProfile(json).value());
}

HardeningResult Hardened(std::string_view spec, const HardeningRequest& request) {
  auto result = HardenRuntimeSpec(spec, request);
  EXPECT_TRUE(result.has_value()) << result.error().message();
  return result ? *result : HardeningResult{};
}

oci::RuntimeSpec Spec(const std::string& json) { return oci::RuntimeSpec::Parse(json).value(); }

TEST(HardenRuntimeSpecTest, CutsEveryCapabilitySetToTheBound) {
  HardeningRequest request;
  request.capabilities_max = {"CAP_CHOWN", "CAP_KILL"};
  const auto result = Hardened(kSpec, request);
  auto spec = Spec(result.spec_json);
  const auto sets = spec.Process().Capabilities().value().value();
  EXPECT_THAT(sets.bounding, ElementsAre("CAP_CHOWN"));  // CAP_KILL is not added
  EXPECT_THAT(sets.effective, ElementsAre("CAP_CHOWN"));
  EXPECT_THAT(sets.permitted, ElementsAre("CAP_CHOWN"));
  EXPECT_THAT(sets.inheritable, IsEmpty());
  EXPECT_THAT(result.changes, Contains("dropped CAP_SYS_ADMIN"));
}

TEST(HardenRuntimeSpecTest, SetsFlagsAndPathsButNeverClearsThem) {
  HardeningRequest request;
  request.no_new_privileges = true;
  request.readonly_rootfs = true;
  request.masked_paths = {"/proc/keys", "/proc/kcore"};
  auto once = Hardened(kSpec, request);
  auto spec = Spec(once.spec_json);
  EXPECT_TRUE(spec.Process().NoNewPrivileges().value());
  EXPECT_TRUE(spec.RootReadonly().value());
  EXPECT_THAT(spec.MaskedPaths().value(), ElementsAre("/proc/kcore", "/proc/keys"));
  const auto again = Hardened(once.spec_json, HardeningRequest{});
  EXPECT_EQ(again.spec_json, once.spec_json);
  EXPECT_THAT(again.changes, IsEmpty());
}

TEST(HardenRuntimeSpecTest, StripsOnlyAnnotationsThatSteerTheRuntime) {
  const auto result = Hardened(kSpec, {});
  const auto annotations = Spec(result.spec_json).Annotations().value();
  ASSERT_EQ(annotations.size(), 1u);
  EXPECT_EQ(annotations[0].first, "keep");
}

TEST(HardenRuntimeSpecTest, StripsWhatSystemdAndWasmTakeFromAnnotations) {
  const auto result = Hardened(
      R"({"root":{"path":"rootfs"},"annotations":{"org.systemd.property.DeviceAllow":"[('/dev/mem','rwm')]",
          "module.wasm.image/variant":"compat","org.systemd.other":"1"}})", {});
  const auto annotations = Spec(result.spec_json).Annotations().value();
  ASSERT_EQ(annotations.size(), 1u);
  EXPECT_EQ(annotations[0].first, "org.systemd.other");
}

TEST(HardenRuntimeSpecTest, DeviceRulesBeginByDenyingAll) {
  HardeningRequest request;
  request.forbid_privileged = true;
  for (const std::string devices : {"null", "[]", R"([{"allow":true,"type":"c","major":1,"minor":3,"access":"rwm"}])",
                                    R"([{"allow":false,"type":"c","access":"rwm"}])", R"([{"allow":false,"access":"rw"}])",
                                    R"([{"allow":false,"major":1,"access":"rwm"}])"}) {
    const auto result = Hardened(R"({"root":{"path":"rootfs"},"linux":{"resources":{"devices":)" + devices + "}}}", request);
    EXPECT_THAT(result.changes, Contains("denied all devices that no rule allows")) << devices;
    EXPECT_THAT(result.spec_json, HasSubstr(R"("devices":[{"allow":false,"access":"rwm"})")) << devices;
    EXPECT_EQ(Hardened(result.spec_json, request).spec_json, result.spec_json) << devices;
    EXPECT_THAT(Hardened(R"({"root":{"path":"rootfs"},"linux":{"resources":{"devices":)" + devices + "}}}", {}).changes,
                IsEmpty());
  }
}

TEST(HardenRuntimeSpecTest, EmptyPathListsAreFilledUnlessPrivileged) {
  HardeningRequest request;
  request.forbid_privileged = true;
  request.masked_paths = {"/proc/own"};
  const std::string bare = R"({"root":{"path":"rootfs"},"linux":{"maskedPaths":[]}})";
  auto filled = Spec(Hardened(bare, request).spec_json);
  EXPECT_THAT(filled.MaskedPaths().value(), Contains("/proc/kcore"));
  EXPECT_THAT(filled.MaskedPaths().value(), Contains("/proc/own"));
  EXPECT_THAT(filled.ReadonlyPaths().value(), Contains("/proc/sys"));
  auto kept = Spec(Hardened(kSpec, request).spec_json);
  EXPECT_THAT(kept.MaskedPaths().value(), ElementsAre("/proc/kcore", "/proc/own"));
  EXPECT_THAT(Spec(Hardened(bare, {}).spec_json).MaskedPaths().value(), IsEmpty());
}

TEST(HardenRuntimeSpecTest, KeepsUnknownFieldsOrderAndLargeNumbers) {
  const auto result = Hardened(kSpec, {});
  EXPECT_THAT(result.spec_json, HasSubstr(R"("x-unknown":{"b":1,"a":2})"));
  EXPECT_THAT(result.spec_json, HasSubstr("18446744073709551615"));
  EXPECT_THAT(result.spec_json, testing::StartsWith(R"({"ociVersion":"1.0.2","process":)"));
}

TEST(HardenRuntimeSpecTest, GivesOurSeccompProfileToAPodWithout) {
  HardeningRequest request;
  request.seccomp = ProfileOf(R"({"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW"}]})");
  request.seccomp_name = "ours";
  const auto result = Hardened(kSpec, request);
  EXPECT_EQ(Spec(result.spec_json).SeccompJson(), seccomp::PrintProfile(*request.seccomp));
  EXPECT_THAT(result.changes, Contains("seccomp: profile ours (the pod has none)"));
}

TEST(HardenRuntimeSpecTest, IntersectsSeccompWithThePods) {
  HardeningRequest pod;
  pod.seccomp = ProfileOf(R"({"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["read","write"],"action":"SCMP_ACT_ALLOW"}]})");
  HardeningRequest ours;
  ours.seccomp = ProfileOf(R"({"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["write","mount"],"action":"SCMP_ACT_ALLOW"}]})");
  const auto result = Hardened(Hardened(kSpec, pod).spec_json, ours);
  const auto merged = seccomp::ParseProfile(*Spec(result.spec_json).SeccompJson()).value();
  ASSERT_EQ(merged.rules.size(), 2u);
  EXPECT_THAT(merged.rules[0].names, ElementsAre("write"));
  EXPECT_THAT(merged.rules[1].names, ElementsAre("clone3"));
}

Code ErrorOf(std::string_view spec, const HardeningRequest& request = {}) {
  auto result = HardenRuntimeSpec(spec, request);
  EXPECT_FALSE(result.has_value());
  return result ? Code::kUnknown : result.error().code();
}

TEST(HardenRuntimeSpecTest, RefusesWhatGoWouldReadDifferently) {
  for (const std::string_view spec : {
           R"({"process":{},"process":{}})", R"({"process":{},"Process":{}})", R"({"Process":{"args":[]}})",
           R"({"process":{"noNewPrivileges":true,"NoNewPrivileges":false}})",
           R"({"process":{"nonewprivileges":false}})", R"({"linux":{"Seccomp":null}})",
           R"({"linux":{"\u017feccomp":null}})",  // folds to seccomp
           R"({"process":{"capabilities":{"Bounding":["CAP_SYS_ADMIN"]}}})", R"({"process":[]})", R"([])", R"({)",
           R"({"linux":{"seccomp":{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"Names":["mount"]}]}}})"}) {
    EXPECT_EQ(ErrorOf(spec), Code::kInvalidArgument) << spec;
  }
}

TEST(HardenRuntimeSpecTest, RefusesHostNamespacesAndDevicesWhenForbidden) {
  HardeningRequest request;
  request.forbid_host_namespaces = true;
  request.forbid_privileged = true;
  EXPECT_TRUE(HardenRuntimeSpec(kSpec, request).has_value());
  const std::string namespaces = R"("namespaces":[{"type":"pid"},{"type":"ipc"},{"type":"network"},{"type":"mount"}])";
  EXPECT_EQ(ErrorOf(R"({"root":{"path":"rootfs"},"linux":{"namespaces":[{"type":"pid"},{"type":"ipc"},{"type":"mount"}]}})", request), Code::kPermissionDenied);
  EXPECT_EQ(ErrorOf(R"({"root":{"path":"rootfs"},"linux":{"namespaces":[{"type":"pid","path":"/proc/1/ns/pid"},{"type":"ipc"},{"type":"network"},{"type":"mount"}]}})",
                    request), Code::kPermissionDenied);
  EXPECT_EQ(ErrorOf(R"({"root":{"path":"rootfs"},"linux":{)" + namespaces + R"(,"resources":{"devices":[{"allow":true,"access":"rwm"}]}}})", request),
            Code::kPermissionDenied);
  EXPECT_EQ(ErrorOf(R"({"root":{"path":"rootfs"},"linux":{)" + namespaces + R"(,"devices":[{"path":"/dev/sda","type":"b","major":8,"minor":0}]}})",
                    request), Code::kPermissionDenied);
}

constexpr std::string_view kContainer = R"({"args":["sleep"],"noNewPrivileges":true,"apparmorProfile":"cri-default",
  "selinuxLabel":"l1","oomScoreAdj":999,"capabilities":{"bounding":["CAP_CHOWN"],"effective":["CAP_CHOWN"],"permitted":["CAP_CHOWN"]},
  "rlimits":[{"type":"RLIMIT_NOFILE","hard":1024,"soft":512},{"type":"RLIMIT_CORE","hard":0,"soft":0}]})";

TEST(HardenProcessSpecTest, HoldsAnExecToItsContainer) {
  const auto result = HardenProcessSpec(
      R"({"args":["sh"],"user":{"uid":7,"gid":8},"cwd":"/tmp","apparmorProfile":"unconfined","oomScoreAdj":-1000,
          "capabilities":{"bounding":["CAP_CHOWN","CAP_SYS_ADMIN"],"effective":["CAP_SYS_ADMIN"],"permitted":["CAP_CHOWN"],
          "inheritable":["CAP_CHOWN"],"ambient":["CAP_CHOWN"]},"rlimits":[{"type":"RLIMIT_NOFILE","hard":4096,"soft":256}]})",
      kContainer);
  ASSERT_TRUE(result.has_value()) << result.error().message();
  auto spec = oci::RuntimeSpec::ParseProcess(result->spec_json).value();
  const auto process = spec.Process();
  const auto sets = process.Capabilities().value().value();
  EXPECT_THAT(sets.bounding, ElementsAre("CAP_CHOWN"));
  EXPECT_THAT(sets.effective, IsEmpty());
  EXPECT_THAT(sets.permitted, ElementsAre("CAP_CHOWN"));
  EXPECT_THAT(sets.inheritable, IsEmpty());
  EXPECT_THAT(sets.ambient, IsEmpty());
  EXPECT_TRUE(process.NoNewPrivileges().value());
  EXPECT_EQ(process.ApparmorProfile().value(), "cri-default");
  EXPECT_EQ(process.SelinuxLabel().value(), "l1");
  EXPECT_EQ(process.OomScoreAdj().value(), 999);
  EXPECT_EQ(process.User().value().uid, 7);
  EXPECT_EQ(process.Cwd().value(), "/tmp");
  const auto rlimits = process.Rlimits().value();
  ASSERT_EQ(rlimits.size(), 2u);
  EXPECT_EQ(rlimits[0].hard, 1024u);
  EXPECT_EQ(rlimits[0].soft, 256u);
  EXPECT_EQ(rlimits[1].type, "RLIMIT_CORE");
}

TEST(HardenProcessSpecTest, ContainerWithoutCapabilitiesLeavesNone) {
  const auto result = HardenProcessSpec(R"({"capabilities":{"bounding":["CAP_CHOWN"],"permitted":["CAP_CHOWN"]}})", "{}");
  ASSERT_TRUE(result.has_value());
  const auto sets = oci::RuntimeSpec::ParseProcess(result->spec_json).value().Process().Capabilities().value().value();
  EXPECT_THAT(sets.bounding, IsEmpty());
  EXPECT_THAT(sets.permitted, IsEmpty());
}

TEST(HardenProcessSpecTest, RefusesCaseVariants) {
  EXPECT_EQ(HardenProcessSpec(R"({"Capabilities":{}})", kContainer).error().code(), Code::kInvalidArgument);
  EXPECT_EQ(HardenProcessSpec("null", kContainer).error().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace bulwark::profiles
