// Which rule applies: the specificity order, the attacks on matching, and ties.
#include "plugin/policy/policy_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "plugin/policy/evaluator.h"
#include "plugin/policy/policy_test_support.h"

namespace bulwark::policy {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Digest(char digit) { return "sha256:" + std::string(64, digit); }

// Each rule is named by its place: r0, r1, …
std::string PolicyOf(const std::vector<std::string>& matches) {
  std::string text = WithHead("rules:\n");
  for (size_t i = 0; i < matches.size(); ++i) {
    text += "  - {name: r" + std::to_string(i) + ", match: {" + matches[i] + "}}\n";
  }
  return text;
}

struct Container {
  std::string reference;
  std::string containerd_namespace = "k8s.io";
  std::string kubernetes_namespace = "default";
};

std::string NameOf(const Rule* rule) { return rule == nullptr ? "" : rule->name; }

std::string MatchName(const PolicySet& set, const Container& container) {
  oci::ImageIdentity image;
  image.reference = container.reference;
  image.manifest_digest = Digest('a');
  image.config_digest = Digest('b');
  image.index_digest = Digest('c');
  return NameOf(set.Match(image, container.containerd_namespace, container.kubernetes_namespace));
}

TEST(PolicyMatch, NamesThatOnlyLookLikeTheRegistryDoNotMatch) {
  const PolicySet set = MustParse(PolicyOf({"images: [\"registry.corp/prod/**\"]"}));
  EXPECT_EQ(MatchName(set, {"registry.corp/prod/app:1"}), "r0");
  EXPECT_EQ(MatchName(set, {"registry.corp/prod/team/app:1"}), "r0");
  EXPECT_EQ(MatchName(set, {"REGISTRY.corp/prod/app:1"}), "r0") << "hosts are not case sensitive";
  for (const char* evil :
       {"docker.io/evil/registry.corp/prod/x:1", "evil/registry.corp/prod/x:1", "registry.corp.evil.io/prod/x:1",
        "registry.corp:5000/prod/x:1", "registry.corp:443/prod/x:1", "registry.corp/prod:1", "registry.corp/production/x:1",
        "registry.corp/dev/prod/x:1", "xn--registry-corp/prod/x:1", "registrycorp/prod/x:1", "evil.registry.corp/prod/x:1",
        "registry.corp/prod/../evil/x:1", "registry.corp/prod/", "registry.corp//prod/x:1", "registry.corp/PROD/x:1",
        "http://registry.corp/prod/x:1", "registry.corp/prod/x:1 ", "", "registry.corp@evil.io/prod/x:1",
        "registry\xE2\x80\xA4" "corp/prod/x:1"}) {
    EXPECT_EQ(MatchName(set, {evil}), "") << evil;
  }
}

TEST(PolicyMatch, ShortNamesAreMatchedInCanonicalForm) {
  const PolicySet set = MustParse(PolicyOf({"images: [\"busybox\"]", "images: [\"docker.io/**\"]"}));
  EXPECT_EQ(MatchName(set, {"docker.io/library/busybox:1.36"}), "r0");
  EXPECT_EQ(MatchName(set, {"docker.io/evil/busybox:1.36"}), "r1");
}

TEST(PolicyMatch, TheMostSpecificRuleAppliesWhateverTheOrder) {
  // From least to most specific, for one container.
  const std::vector<std::string> ladder = {
      "images: [\"**\"]",
      "images: [\"registry.corp/**\"]",
      "images: [\"registry.corp/prod/**\"]",
      "images: [\"registry.corp/prod/*\"]",
      "images: [\"registry.corp/prod/ap*\"]",
      "images: [\"registry.corp/prod/app\"]",
      "images: [\"registry.corp/prod/app\"], containerdNamespaces: [k8s.io]",
      "images: [\"registry.corp/prod/app\"], kubernetesNamespaces: [default]",
      "images: [\"registry.corp/prod/app\"], containerdNamespaces: [k8s.io], kubernetesNamespaces: [default]",
      "images: [\"registry.corp/prod/app:v*\"]",
      "images: [\"registry.corp/prod/app:v1\"]",
      "images: [\"" + Digest('c') + "\"]",
      "images: [\"" + Digest('b') + "\"]",
      "images: [\"" + Digest('a') + "\"]",
      "images: [\"" + Digest('a') + "\"], kubernetesNamespaces: [default]",
  };
  for (size_t lower = 0; lower < ladder.size(); ++lower) {
    for (size_t higher = lower + 1; higher < ladder.size(); ++higher) {
      const Container container = {"registry.corp/prod/app:v1"};
      EXPECT_EQ(MatchName(MustParse(PolicyOf({ladder[lower], ladder[higher]})), container), "r1")
          << ladder[lower] << " against " << ladder[higher];
      EXPECT_EQ(MatchName(MustParse(PolicyOf({ladder[higher], ladder[lower]})), container), "r0")
          << ladder[higher] << " against " << ladder[lower];
    }
  }
}

// The table of docs/formats/policy.md.
TEST(PolicyMatch, TheTableInTheDocumentationHolds) {
  const PolicySet set = MustParse(PolicyOf({"images: [\"**\"]", "images: [\"registry.corp/**\"]",
                                            "images: [\"registry.corp/prod/*\"]", "images: [registry.corp/prod/app]",
                                            "images: [\"registry.corp/prod/app:v*\"]"}));
  EXPECT_EQ(MatchName(set, {"registry.corp/prod/app:v2"}), "r4");
  EXPECT_EQ(MatchName(set, {"registry.corp/prod/app:7"}), "r3");
  EXPECT_EQ(MatchName(set, {"registry.corp/prod/team/app:7"}), "r1");
  EXPECT_EQ(MatchName(set, {"registry.corp:5000/prod/app:7"}), "r0");
  EXPECT_EQ(MatchName(set, {"docker.io/evil/registry.corp/prod/app:latest"}), "r0");
  EXPECT_EQ(MatchName(set, {""}), "");
}

TEST(PolicyMatch, ARuleOutOfScopeDoesNotHideABroaderOne) {
  const PolicySet set = MustParse(PolicyOf({"images: [\"r.corp/app\"], kubernetesNamespaces: [prod]", "images: [\"r.corp/**\"]"}));
  EXPECT_EQ(MatchName(set, {"r.corp/app:1", "k8s.io", "prod"}), "r0");
  EXPECT_EQ(MatchName(set, {"r.corp/app:1", "k8s.io", "dev"}), "r1");
  EXPECT_EQ(MatchName(set, {"r.corp/app:1", "default", ""}), "r1") << "outside Kubernetes there is no namespace to match";
}

TEST(PolicyMatch, ContainerdNamespacesAreExactNames) {
  const PolicySet set = MustParse(PolicyOf({"images: [\"**\"], containerdNamespaces: [moby, k8s.io]"}));
  EXPECT_EQ(MatchName(set, {"r.corp/app:1", "moby"}), "r0");
  EXPECT_EQ(MatchName(set, {"r.corp/app:1", "mob"}), "");
  EXPECT_EQ(MatchName(set, {"r.corp/app:1", ""}), "");
}

TEST(PolicyMatch, AnImageWithoutANameIsMatchedByItsDigests) {
  const PolicySet set = MustParse(PolicyOf({"images: [\"" + Digest('b') + "\"]", "images: [\"**\"]"}));
  oci::ImageIdentity image;
  image.config_digest = Digest('b');
  EXPECT_EQ(NameOf(set.Match(image, "default", "")), "r0");
  image.config_digest = Digest('d');
  EXPECT_EQ(NameOf(set.Match(image, "default", "")), "") << "** stands for names, and there is none";
}

TEST(PolicyMatch, ADigestWrittenInTheReferenceProvesNothing) {
  const PolicySet set = MustParse(PolicyOf({"images: [\"" + Digest('e') + "\"]"}));
  EXPECT_EQ(MatchName(set, {"r.corp/app@" + Digest('e')}), "");
}

TEST(PolicyTies, RulesThatCouldBothApplyAreALoadError) {
  const std::string expected =
      "/p/a.yaml:5:5: rule r1 ties with rule r0 (/p/a.yaml:4): patterns r.corp/app and r.corp/app can match the same image "
      "and neither is more specific; make one of them narrower or join the rules";
  EXPECT_EQ(ErrorOf(PolicyOf({"images: [r.corp/app]", "images: [r.corp/app]"})), expected);
  EXPECT_THAT(ErrorOf(PolicyOf({"images: [busybox]", "images: [docker.io/library/busybox]"})), HasSubstr("ties with"));
  EXPECT_THAT(ErrorOf(PolicyOf({"images: [\"r.corp/a*\"]", "images: [\"r.corp/*a\"]"})), HasSubstr("ties with"));
  EXPECT_THAT(ErrorOf(PolicyOf({"images: [\"**\"], kubernetesNamespaces: [a, b]", "images: [\"**\"], kubernetesNamespaces: [b]"})),
              HasSubstr("ties with"));
}

TEST(PolicyTies, RulesThatNeverMeetDoNotTie) {
  EXPECT_EQ(ErrorOf(PolicyOf({"images: [r.corp/app]", "images: [r.corp/apx]"})), "no error");
  EXPECT_EQ(ErrorOf(PolicyOf({"images: [\"**\"], kubernetesNamespaces: [a]", "images: [\"**\"], kubernetesNamespaces: [b]"})),
            "no error");
  EXPECT_EQ(ErrorOf(PolicyOf({"images: [\"**\"], containerdNamespaces: [a]", "images: [\"**\"], containerdNamespaces: [b]"})),
            "no error");
  EXPECT_EQ(ErrorOf(PolicyOf({"images: [\"" + Digest('a') + "\"]", "images: [\"" + Digest('b') + "\"]"})), "no error");
}

TEST(PolicySet, WithoutRulesNothingMatches) {
  EXPECT_EQ(MatchName(PolicySet(), {"r.corp/app:1"}), "");
  EXPECT_EQ(PolicySet().defaults().action, Action::kDeny);
}

TEST(PolicyUnidentified, AnyRuleThatCouldApplyEnforces) {
  const PolicySet set = MustParse(WithHead(
      "defaults: {mode: audit}\n"
      "rules:\n"
      "  - {name: by-name, match: {images: [\"registry.corp/**\"]}, mode: audit}\n"
      "  - {name: by-digest, match: {images: [\"" + Digest('a') + "\"], containerdNamespaces: [k8s.io], "
      "kubernetesNamespaces: [prod]}, mode: enforce}\n"));
  EXPECT_EQ(set.ModeOfUnidentified("k8s.io", "prod"), Mode::kEnforce);
  EXPECT_EQ(set.ModeOfUnidentified("k8s.io", std::nullopt), Mode::kEnforce);
  EXPECT_EQ(set.ModeOfUnidentified("k8s.io", "test"), Mode::kAudit);
  EXPECT_EQ(set.ModeOfUnidentified("k8s.io", ""), Mode::kAudit);
  EXPECT_EQ(set.ModeOfUnidentified("moby", std::nullopt), Mode::kAudit);
}

TEST(PolicyUnidentified, DefaultsUnderEnforceEnforce) {
  const PolicySet set = MustParse(WithHead(
      "rules:\n  - {name: r, match: {images: [\"**\"]}, mode: audit}\n"));
  EXPECT_EQ(set.ModeOfUnidentified("k8s.io", "prod"), Mode::kEnforce);
  EXPECT_EQ(PolicySet().ModeOfUnidentified("", std::nullopt), Mode::kEnforce);
}

TEST(PolicyUnidentified, AllInAuditIsAudit) {
  const PolicySet set = MustParse(WithHead(
      "defaults: {mode: audit}\nrules:\n  - {name: r, match: {images: [\"**\"]}}\n"));
  EXPECT_EQ(set.ModeOfUnidentified("k8s.io", "prod"), Mode::kAudit);
  const Decision decision = CombineUnidentified(set, Mode::kEnforce, nullptr, {ReasonStep{"identity", false, "identity.unresolved", "", {}}});
  EXPECT_FALSE(decision.allowed);
  EXPECT_TRUE(CombineUnidentified(set, Mode::kAudit, nullptr, {ReasonStep{"identity", false, "identity.unresolved", "", {}}}).would_deny);
}

}  // namespace
}  // namespace bulwark::policy
