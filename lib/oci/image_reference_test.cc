#include "lib/oci/image_reference.h"

#include <gtest/gtest.h>

#include "lib/oci/digest.h"
#include "lib/oci/reference_pattern.h"

namespace bulwark::oci {
namespace {

const std::string kDigest = "sha256:" + std::string(64, 'a');
const std::string kOtherDigest = "sha256:" + std::string(64, 'b');

TEST(ImageReferenceTest, CanonicalisesAsDockerDoes) {
  const std::pair<std::string, std::string> kCases[] = {
      {"busybox", "docker.io/library/busybox:latest"},
      {"busybox:1.36", "docker.io/library/busybox:1.36"},
      {"user/app", "docker.io/user/app:latest"},
      {"docker.io/busybox", "docker.io/library/busybox:latest"},
      {"index.docker.io/library/busybox", "docker.io/library/busybox:latest"},
      {"REG.corp:5000/a/b:T1", "reg.corp:5000/a/b:T1"},
      {"localhost/a", "localhost/a:latest"},
      {"registry.corp:443/a", "registry.corp:443/a:latest"},
      {"[fd00::1]:5000/a", "[fd00::1]:5000/a:latest"},
      {"xn--bcher-kva.example/a", "xn--bcher-kva.example/a:latest"},
      {"a.b/c@" + kDigest, "a.b/c@" + kDigest},
      {"a.b/c:1@" + kDigest, "a.b/c:1@" + kDigest},
      {"localhost:5000", "docker.io/library/localhost:5000"},
  };
  for (const auto& [text, canonical] : kCases) {
    const auto reference = ImageReference::Parse(text);
    ASSERT_TRUE(reference.has_value()) << text;
    EXPECT_EQ(reference->Canonical(), canonical);
    EXPECT_EQ(ImageReference::Parse(canonical)->Canonical(), canonical);  // a fixed point
  }
}

TEST(ImageReferenceTest, RefusesWhatIsNoReference) {
  for (const std::string& text :
       {std::string(), std::string("a//b"), std::string("a/"), std::string("/a"), std::string("UPPER"), std::string("UPPER/a"),
        std::string("reg.corp/Upper"), std::string("a:"), std::string("a:-x"), std::string("a@sha256:12"),
        "a@" + std::string("sha256:") + std::string(64, 'A'), std::string("a b"), std::string("a..b/c/d"),
        std::string("reg.corp./a"), std::string("-reg.corp/a"), std::string("a/../b"), std::string("a___b"),
        std::string("b\xc3\xbc" "cher.example/a"), std::string(64, 'a'), "x.y/" + std::string(300, 'a'),
        std::string("reg.corp:123456/a"), std::string("a\0b", 3), std::string("a@" + kDigest + "@" + kDigest)}) {
    EXPECT_FALSE(ImageReference::Parse(text).has_value()) << text;
  }
}

bool Matches(const std::string& pattern, const std::string& reference,
             const std::vector<std::string>& digests = {}) {
  const auto parsed = ReferencePattern::Parse(pattern);
  EXPECT_TRUE(parsed.has_value()) << pattern;
  const auto image = ImageReference::Parse(reference);
  EXPECT_TRUE(image.has_value()) << reference;
  return parsed && image && parsed->Matches(&*image, digests);
}

TEST(ReferencePatternTest, StarStaysWithinASegmentAndNeverTouchesTheHost) {
  EXPECT_TRUE(Matches("registry.corp/prod/*", "registry.corp/prod/x:1"));
  EXPECT_FALSE(Matches("registry.corp/prod/*", "registry.corp/prod/x/y:1"));
  EXPECT_TRUE(Matches("registry.corp/prod/**", "registry.corp/prod/x/y:1"));
  EXPECT_FALSE(Matches("registry.corp/prod/**", "registry.corp/prod"));
  EXPECT_FALSE(Matches("registry.corp/prod/**", "docker.io/evil/registry.corp/prod/x"));
  EXPECT_FALSE(Matches("registry.corp/prod/**", "registry.corp.evil.io/prod/x"));
  EXPECT_FALSE(Matches("registry.corp/prod/**", "registry.corp:5000/prod/x"));
  EXPECT_TRUE(Matches("*/tools/*", "any.host/tools/x"));
  EXPECT_TRUE(Matches("**", "any.host:1/a/b/c"));
  EXPECT_TRUE(Matches("a.b/**/x", "a.b/1/2/x"));
  EXPECT_FALSE(Matches("a.b/**/x", "a.b/x"));
  EXPECT_TRUE(Matches("a.b/app-*-x", "a.b/app-1-2-x"));
}

TEST(ReferencePatternTest, TagsAndDigests) {
  EXPECT_TRUE(Matches("nginx", "nginx:1.25"));
  EXPECT_TRUE(Matches("nginx:1.*", "docker.io/library/nginx:1.25"));
  EXPECT_FALSE(Matches("nginx:1.*", "nginx:2"));
  EXPECT_TRUE(Matches("a.b/c@" + kDigest, "a.b/c:1", {kDigest}));
  EXPECT_FALSE(Matches("a.b/c@" + kDigest, "a.b/c@" + kDigest, {kOtherDigest}));  // a claim in the name is no proof
  const auto by_digest = ReferencePattern::Parse(kDigest);
  EXPECT_TRUE(by_digest->Matches(nullptr, {kOtherDigest, kDigest}));
  EXPECT_FALSE(by_digest->Matches(nullptr, {}));
  EXPECT_FALSE(ReferencePattern::Parse("**")->Matches(nullptr, {kDigest}));
}

TEST(ReferencePatternTest, RefusesAmbiguousText) {
  for (const char* text : {"", "*", "reg*.corp/a", "*.corp/a", "a.b/c**", "a.b//c", "a.b/UP", "a.b/c@sha256:1",
                           "a.b/**/**/**/**/**", "a.b/c:**"}) {
    EXPECT_FALSE(ReferencePattern::Parse(text).has_value()) << text;
  }
}

TEST(ReferencePatternTest, MoreSpecificPatternsRankHigher) {
  const std::string kOrder[] = {"**", "*/a/**", "r.c/**", "r.c/*", "r.c/p/**", "r.c/p/*", "r.c/p/a*", "r.c/p/ab*",
                                "r.c/p/abc", "r.c/p/abc:*", "r.c/p/abc:1*", "r.c/p/abc:1", "r.c/p/abc@" + kDigest,
                                kDigest};
  for (size_t i = 0; i < std::size(kOrder); ++i) {
    for (size_t j = 0; j < std::size(kOrder); ++j) {
      const int order = ReferencePattern::CompareSpecificity(*ReferencePattern::Parse(kOrder[i]),
                                                             *ReferencePattern::Parse(kOrder[j]));
      EXPECT_EQ(order, i < j ? -1 : i > j ? 1 : 0) << kOrder[i] << " " << kOrder[j];
    }
  }
}

TEST(ReferencePatternTest, TellsOverlap) {
  const auto overlap = [](const char* a, const char* b) {
    return ReferencePattern::MayOverlap(*ReferencePattern::Parse(a), *ReferencePattern::Parse(b));
  };
  EXPECT_TRUE(overlap("r.c/a*", "r.c/*a"));
  EXPECT_FALSE(overlap("r.c/a*", "r.c/b*"));
  EXPECT_FALSE(overlap("r.c/prod/**", "r.c/dev/**"));
  EXPECT_TRUE(overlap("r.c/**/x", "r.c/a/**"));
  EXPECT_FALSE(overlap("r.c/*", "r.c/*/*"));
  EXPECT_FALSE(overlap("r.c/a:1*", "r.c/a:2*"));
  EXPECT_TRUE(overlap("*/a", "r.c/a"));
}

TEST(DigestTest, IsStrict) {
  EXPECT_TRUE(IsDigest(kDigest));
  EXPECT_TRUE(IsDigest("sha512:" + std::string(128, '0')));
  for (const std::string& text : {"sha256:" + std::string(63, 'a'), "sha256:" + std::string(64, 'A'), "sha1:" + std::string(40, 'a'),
                                  "sha512:" + std::string(64, 'a'), kDigest + " ", std::string("sha256")}) {
    EXPECT_FALSE(IsDigest(text)) << text;
  }
  const std::string of_abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  EXPECT_EQ(Sha256Digest("abc"), of_abc);
  EXPECT_TRUE(VerifyDigest("abc", of_abc).has_value());
  EXPECT_EQ(VerifyDigest("abd", of_abc).error().code(), base::Code::kDataLoss);
}

TEST(DigestTest, ChainIdFollowsTheSpecification) {
  EXPECT_EQ(ChainId({kDigest}).value(), kDigest);
  EXPECT_EQ(ChainId({kDigest, kOtherDigest}).value(), Sha256Digest(kDigest + " " + kOtherDigest));
  EXPECT_FALSE(ChainId({}).has_value());
  EXPECT_FALSE(ChainId({"sha512:" + std::string(128, '0')}).has_value());
}

}  // namespace
}  // namespace bulwark::oci
