#include "shim/os/rootfs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sched.h>
#include <string.h>
#include <sys/mount.h>

#include <optional>

#include "lib/base/file_io.h"
#include "shim/os/mount_options.h"
#include "shim/os/overlay_mount.h"
#include "shim/os/test_support.h"

namespace bulwark::shim {
namespace {

using ::testing::ElementsAre;
using testing::LoopFixture;
using testing::TempDir;

RootfsMount Mount(const std::string& type, const std::string& source, const std::string& target,
                  const std::vector<std::string>& options) {
  RootfsMount entry;
  entry.type = type;
  entry.source = source;
  entry.target = target;
  entry.options = options;
  return entry;
}

TEST(MountOptions, WordsBecomeFlagsAndTheRestData) {
  const auto parsed =
      ParseMountOptions({"defaults", "rbind", "ro", "nosuid", "rw", "size=1m", "index=off"});
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->flags, static_cast<unsigned long>(MS_BIND | MS_REC | MS_NOSUID));
  EXPECT_EQ(parsed->JoinedData(), "size=1m,index=off");
}

TEST(MountOptions, WhatAShimCannotDoIsRefused) {
  EXPECT_EQ(ParseMountOptions({"X-containerd.mkfs.size=1"}).error().code(),
            base::Code::kInvalidArgument);
  EXPECT_EQ(ParseMountOptions({"loop"}).error().code(), base::Code::kUnimplemented);
  EXPECT_EQ(ParseMountOptions({"uidmap=0:1000:1"}).error().code(), base::Code::kUnimplemented);
  EXPECT_EQ(ParseMountOptions({""}).error().code(), base::Code::kInvalidArgument);
}

TEST(CompactLowerDirectories, TheCommonParentIsTakenOut) {
  const auto compact = CompactLowerDirectories(
      {"lowerdir=/var/lib/snap/12/fs:/var/lib/snap/13/fs", "upperdir=/var/u", "workdir=/var/w"});
  ASSERT_TRUE(compact);
  EXPECT_EQ(compact->directory, "/var/lib/snap");
  EXPECT_THAT(compact->data,
              ElementsAre("upperdir=/var/u", "workdir=/var/w", "lowerdir=12/fs:13/fs"));
}

TEST(CompactLowerDirectories, OneLayerOrNothingInCommonStaysAsItIs) {
  EXPECT_FALSE(CompactLowerDirectories({"lowerdir=/a/b"}));
  EXPECT_FALSE(CompactLowerDirectories({"lowerdir=/a/b:/c/d"}));
  EXPECT_FALSE(CompactLowerDirectories({"lowerdir=/a/b:"}));
  EXPECT_FALSE(CompactLowerDirectories({"lowerdir=/a/b::/a/c"}));
}

TEST(CompactLowerDirectories, AnEscapedColonDoesNotSeparate) {
  const auto compact = CompactLowerDirectories({R"(lowerdir=/x\:y/1:/x\:y/2)"});
  ASSERT_TRUE(compact);
  EXPECT_EQ(compact->directory, "/x:y");
  EXPECT_THAT(compact->data, ElementsAre("lowerdir=1:2"));
}

// In a mount namespace of its own, so that a failing test leaves nothing mounted on the machine.
class RootfsTest : public ::testing::Test, protected LoopFixture {
 protected:
  static void SetUpTestSuite() {
    if (geteuid() == 0 && unshare(CLONE_NEWNS) == 0) {
      is_private_ = mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
    }
  }
  void SetUp() override {
    if (!is_private_) GTEST_SKIP() << "needs root and a mount namespace";
    // Upper directories cannot lie on another overlay.
    ASSERT_EQ(mount("tmpfs", dir_.path().c_str(), "tmpfs", 0, "size=16m"), 0);
    rootfs_ = dir_ / "bundle/rootfs";
    ASSERT_TRUE(base::MakeDirectories(dir_ / "bundle", 0711));
  }
  void TearDown() override {
    if (is_private_) umount2(dir_.path().c_str(), MNT_DETACH);
  }
  std::string Directory(const std::string& name) {
    EXPECT_TRUE(base::MakeDirectories(dir_ / name, 0755));
    return dir_ / name;
  }
  void File(const std::string& name, const std::string& text) {
    EXPECT_TRUE(base::ReplaceFile(dir_ / name, text, 0644, false));
  }
  // Layers with one file each; the last one is the uppermost lower.
  std::vector<std::string> Overlay(int layers, const std::string& parent) {
    std::string lower;
    for (int i = 0; i < layers; ++i) {
      const std::string name = parent + "/" + std::to_string(i) + "/fs";
      const std::string path = Directory(name);
      File(name + "/layer" + std::to_string(i), "x");
      lower = lower.empty() ? path : lower + ":" + path;
    }
    return {"index=off", "lowerdir=" + lower, "upperdir=" + Directory("upper"),
            "workdir=" + Directory("work")};
  }
  bool Unmount() {
    std::optional<base::Status> result;
    UnmountRootfs(loop(), rootfs_, [&](base::Status status) { result = std::move(status); });
    return RunUntil([&] { return result.has_value(); }) && result->has_value();
  }
  bool IsMounted(const std::string& path) {
    return base::ReadPseudoFile("/proc/self/mountinfo", 1 << 24)->find(" " + path + " ") !=
           std::string::npos;
  }

  static bool is_private_;
  TempDir dir_;
  std::string rootfs_;
};
bool RootfsTest::is_private_ = false;

TEST_F(RootfsTest, AnOverlayIsMountedAndGoesAway) {
  const auto status = MountRootfs({Mount("overlay", "overlay", "", Overlay(3, "l"))}, rootfs_);
  ASSERT_TRUE(status);
  EXPECT_TRUE(base::PathExists(rootfs_ + "/layer2"));
  EXPECT_TRUE(Unmount());
  EXPECT_FALSE(IsMounted(rootfs_));
  EXPECT_TRUE(Unmount());  // a second time, as the delete command does
}

TEST_F(RootfsTest, ASlowUnmountDoesNotHoldTheLoopUp) {
  Directory("source");
  ASSERT_TRUE(MountRootfs({Mount("bind", dir_ / "source", "", {"bind"})}, rootfs_));
  bool is_unmounted = false;
  int served_meanwhile = 0;
  const std::function<void()> serve = [&] {
    if (!is_unmounted) ++served_meanwhile;
    loop().AddTimer(10, serve);
  };
  loop().AddTimer(10, serve);
  UnmountRootfs(
      loop(), rootfs_,
      [&](const base::Status& status) {
        EXPECT_TRUE(status);
        is_unmounted = true;
      },
      [](const char* path, int flags) {
        usleep(200'000);
        return umount2(path, flags);
      });
  EXPECT_FALSE(is_unmounted);
  EXPECT_TRUE(IsMounted(rootfs_));
  ASSERT_TRUE(RunUntil([&] { return is_unmounted; }));
  EXPECT_GE(served_meanwhile, 5);
  EXPECT_FALSE(IsMounted(rootfs_));
}

TEST_F(RootfsTest, FortyLayersWithLongPathsAreMounted) {
  char before[4096], after[4096];
  ASSERT_NE(getcwd(before, sizeof before), nullptr);
  const auto options = Overlay(40, std::string(100, 'a') + "/" + std::string(100, 'b'));
  auto status = MountRootfs({Mount("overlay", "overlay", "", options)}, rootfs_);
  ASSERT_TRUE(status) << status.error().message();
  EXPECT_TRUE(base::PathExists(rootfs_ + "/layer0"));
  EXPECT_TRUE(base::PathExists(rootfs_ + "/layer39"));
  ASSERT_NE(getcwd(after, sizeof after), nullptr);
  EXPECT_STREQ(before, after);
  EXPECT_TRUE(Unmount());
}

TEST_F(RootfsTest, LongLayersWithNothingInCommonAreMountedOneByOne) {
  // "/" is all that these have in common.
  std::string lower;
  const std::string other = "/bulwark-shim-os-test";
  mkdir(other.c_str(), 0700);
  ASSERT_EQ(mount("tmpfs", other.c_str(), "tmpfs", 0, ""), 0);
  for (int i = 0; i < 40; ++i) {
    const std::string root = i % 2 == 0 ? dir_.path() : other;
    const std::string path = root + "/" + std::string(130, 'c') + std::to_string(i);
    ASSERT_TRUE(base::MakeDirectories(path, 0755));
    lower += (lower.empty() ? "" : ":") + path;
  }
  auto status =
      MountRootfs({Mount("overlay", "overlay", "", {"lowerdir=" + lower, "ro"})}, rootfs_);
  EXPECT_TRUE(Unmount());
  umount2(other.c_str(), MNT_DETACH);
  rmdir(other.c_str());
  if (!status && status.error().code() == base::Code::kResourceExhausted) {
    GTEST_SKIP() << "this kernel has no lowerdir+: " << status.error().message();
  }
  EXPECT_TRUE(status) << status.error().message();
}

TEST_F(RootfsTest, AReadOnlyBindIsReadOnly) {
  Directory("source");
  const auto bind = Mount("bind", dir_ / "source", "", {"rbind", "ro", "nosuid"});
  ASSERT_TRUE(MountRootfs({bind}, rootfs_));
  EXPECT_EQ(open((rootfs_ + "/x").c_str(), O_CREAT | O_WRONLY, 0644), -1);
  EXPECT_EQ(errno, EROFS);
  EXPECT_TRUE(Unmount());
  EXPECT_FALSE(IsMounted(rootfs_));
}

TEST_F(RootfsTest, ATargetNeverLeadsOutOfTheRootfs) {
  Directory("source/data");
  Directory("victim");
  ASSERT_EQ(symlink((dir_ / "victim").c_str(), (dir_ / "source/escape").c_str()), 0);
  ASSERT_EQ(symlink("/data", (dir_ / "source/inside").c_str()), 0);
  const auto bind = Mount("bind", dir_ / "source", "", {"rbind"});
  auto escaped = MountRootfs({bind, Mount("tmpfs", "tmpfs", "escape", {})}, rootfs_);
  EXPECT_FALSE(escaped);
  EXPECT_FALSE(IsMounted(dir_ / "victim"));
  EXPECT_FALSE(IsMounted(rootfs_));  // the first mount was undone

  ASSERT_TRUE(MountRootfs({bind, Mount("tmpfs", "tmpfs", "../../inside", {"size=64k"})}, rootfs_));
  EXPECT_TRUE(IsMounted(rootfs_ + "/data"));
  EXPECT_TRUE(Unmount());
  EXPECT_FALSE(IsMounted(rootfs_ + "/data"));
}

TEST_F(RootfsTest, AFailureUndoesWhatWasMounted) {
  Directory("source");
  auto status = MountRootfs({Mount("bind", dir_ / "source", "", {"bind"}),
                             Mount("no-such-filesystem", "none", "", {})},
                            rootfs_);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().os_errno(), ENODEV);
  EXPECT_FALSE(IsMounted(rootfs_));
}

TEST_F(RootfsTest, StackedAndNestedMountsAllGo) {
  Directory("source/sub dir");
  const auto bind = Mount("bind", dir_ / "source", "", {"bind"});
  ASSERT_TRUE(MountRootfs({bind, bind, Mount("tmpfs", "tmpfs", "sub dir", {"size=64k"})}, rootfs_));
  ASSERT_TRUE(UnmountRootfsBlocking(rootfs_));
  EXPECT_FALSE(IsMounted(rootfs_));
  EXPECT_TRUE(base::ListDirectory(rootfs_, 10)->empty());
}

TEST_F(RootfsTest, WhatIsBusyIsDetachedAfterHalfASecond) {
  Directory("source");
  File("source/used", "x");
  ASSERT_TRUE(MountRootfs({Mount("bind", dir_ / "source", "", {"bind"})}, rootfs_));
  const base::UniqueFd user = testing::OpenFd(rootfs_ + "/used", O_RDONLY);
  EXPECT_TRUE(Unmount());
  EXPECT_FALSE(IsMounted(rootfs_));
}

TEST_F(RootfsTest, ASymbolicLinkInPlaceOfTheRootfsIsNotFollowed) {
  Directory("victim");
  ASSERT_EQ(mount("tmpfs", (dir_ / "victim").c_str(), "tmpfs", 0, ""), 0);
  ASSERT_EQ(symlink((dir_ / "victim").c_str(), rootfs_.c_str()), 0);
  EXPECT_TRUE(Unmount());
  EXPECT_TRUE(IsMounted(dir_ / "victim"));
}

}  // namespace
}  // namespace bulwark::shim
