#include "plugin/admission/mount_match.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace bulwark::admission {
namespace {

containerd::Mount Overlay(std::vector<std::string> options) {
  return {"overlay", "overlay", "", std::move(options)};
}

TEST(MountMatchTest, EqualMountsAreTheSame) {
  EXPECT_TRUE(IsSameMount(Overlay({"lowerdir=/a", "index=off"}), Overlay({"lowerdir=/a", "index=off"})));
  EXPECT_FALSE(IsSameMount(Overlay({"lowerdir=/b"}), Overlay({"lowerdir=/a"})));
  EXPECT_FALSE(IsSameMount(Overlay({}), Overlay({"lowerdir=/a"})));
  EXPECT_FALSE(IsSameMount({"bind", "overlay", "", {}}, Overlay({})));
  EXPECT_FALSE(IsSameMount({"overlay", "overlay", "usr", {}}, Overlay({})));
}

TEST(MountMatchTest, OneSelinuxContextAtTheEndIsContainerdsOwn) {
  const auto snapshot = Overlay({"lowerdir=/a"});
  EXPECT_TRUE(IsSameMount(Overlay({"lowerdir=/a", R"(context="system_u:object_r:container_file_t:s0:c1,c2")"}), snapshot));
}

TEST(MountMatchTest, NothingElseHidesBehindAContext) {
  const auto snapshot = Overlay({"lowerdir=/a"});
  for (const std::string option :
       {R"(context="x",lowerdir=/evil)", R"(context="x",lowerdir="/evil")", "context=x,lowerdir=/evil", "context=x", R"(context=")",
        R"(context="")", R"(context="x)", R"(context="x\",lowerdir=/evil,x=")", R"(fscontext="x")", R"(context="x" )"}) {
    EXPECT_FALSE(IsSameMount(Overlay({"lowerdir=/a", option}), snapshot)) << option;
  }
  const std::string good = R"(context="x")";
  EXPECT_FALSE(IsSameMount(Overlay({"lowerdir=/a", good, good}), snapshot));
  EXPECT_FALSE(IsSameMount(Overlay({good, "lowerdir=/a"}), snapshot));
}

}  // namespace
}  // namespace bulwark::admission
