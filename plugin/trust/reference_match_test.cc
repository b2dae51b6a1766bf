#include "plugin/trust/reference_match.h"

#include <gtest/gtest.h>

#include "plugin/trust/signing_test_support.h"

namespace bulwark::trust {
namespace {

bool Fits(ReferenceMatch match, std::string_view signed_reference, std::string_view started) {
  SignatureRequirement requirement;
  requirement.reference_match = match;
  return ReferenceFits(requirement, signed_reference, started);
}

TEST(ReferenceMatchTest, RepositoryIgnoresTagAndDigest) {
  constexpr auto kMatch = ReferenceMatch::kRepository;
  EXPECT_TRUE(Fits(kMatch, "registry.corp/prod/app", "registry.corp/prod/app:1"));
  EXPECT_TRUE(Fits(kMatch, "registry.corp/prod/app:2", "registry.corp/prod/app:1"));
  EXPECT_TRUE(Fits(kMatch, "busybox", "docker.io/library/busybox:1.36")) << "both in canonical form";
  EXPECT_FALSE(Fits(kMatch, "registry.corp/prod/app2", "registry.corp/prod/app:1"));
  EXPECT_FALSE(Fits(kMatch, "registry.corp/prod", "registry.corp/prod/app:1"));
  EXPECT_FALSE(Fits(kMatch, "registry.corp:5000/prod/app", "registry.corp/prod/app:1"));
  EXPECT_FALSE(Fits(kMatch, "other.corp/prod/app", "registry.corp/prod/app:1"));
}

TEST(ReferenceMatchTest, WhatDoesNotParseNeverFitsExceptUnderAny) {
  EXPECT_FALSE(Fits(ReferenceMatch::kRepository, "", "registry.corp/prod/app:1"));
  EXPECT_FALSE(Fits(ReferenceMatch::kRepository, "registry.corp/prod/app", ""));
  EXPECT_FALSE(Fits(ReferenceMatch::kRepository, "", ""));
  EXPECT_FALSE(Fits(ReferenceMatch::kRepository, "UPPER/../app", "registry.corp/prod/app:1"));
  EXPECT_FALSE(Fits(ReferenceMatch::kRepository, std::string(1'000'000, 'a'), "registry.corp/prod/app:1"));
  EXPECT_TRUE(Fits(ReferenceMatch::kAny, "", ""));
}

TEST(ReferenceMatchTest, ExactWantsTheSameTagAndDigest) {
  constexpr auto kMatch = ReferenceMatch::kExact;
  const std::string digest = TestDigest('a');
  EXPECT_TRUE(Fits(kMatch, "registry.corp/prod/app:1", "registry.corp/prod/app:1"));
  EXPECT_FALSE(Fits(kMatch, "registry.corp/prod/app:2", "registry.corp/prod/app:1"));
  EXPECT_TRUE(Fits(kMatch, "registry.corp/prod/app@" + digest, "registry.corp/prod/app@" + digest));
  EXPECT_FALSE(Fits(kMatch, "registry.corp/prod/app@" + TestDigest('b'), "registry.corp/prod/app@" + digest));
  EXPECT_FALSE(Fits(kMatch, "registry.corp/prod/app:1", "registry.corp/prod/app@" + digest));
}

TEST(ReferenceMatchTest, SignatureOnABareRepositoryIsNotExactlyLatest) {
  EXPECT_FALSE(Fits(ReferenceMatch::kExact, "registry.corp/prod/app", "registry.corp/prod/app:latest"));
  EXPECT_FALSE(Fits(ReferenceMatch::kExact, "registry.corp:5000/app", "registry.corp:5000/app:latest"));
  EXPECT_FALSE(Fits(ReferenceMatch::kRepoDigestOrExact, "registry.corp/prod/app", "registry.corp/prod/app:latest"));
  EXPECT_TRUE(Fits(ReferenceMatch::kExact, "registry.corp/prod/app:latest", "registry.corp/prod/app:latest"));
}

TEST(ReferenceMatchTest, RepositorySufficesForAnImageStartedByDigest) {
  constexpr auto kMatch = ReferenceMatch::kRepoDigestOrExact;
  EXPECT_TRUE(Fits(kMatch, "registry.corp/prod/app", "registry.corp/prod/app@" + TestDigest('a')));
  EXPECT_FALSE(Fits(kMatch, "registry.corp/prod/other", "registry.corp/prod/app@" + TestDigest('a')));
  EXPECT_TRUE(Fits(kMatch, "registry.corp/prod/app:1", "registry.corp/prod/app:1"));
  EXPECT_FALSE(Fits(kMatch, "registry.corp/prod/app:2", "registry.corp/prod/app:1"));
}

bool FitsRemapped(std::string_view prefix, std::string_view signed_prefix, std::string_view signed_reference,
                  std::string_view started) {
  SignatureRequirement requirement;
  requirement.remap_prefix = prefix;
  requirement.remap_signed_prefix = signed_prefix;
  return ReferenceFits(requirement, signed_reference, started);
}

TEST(ReferenceMatchTest, MirrorIsComparedAsItsOriginal) {
  EXPECT_TRUE(FitsRemapped("mirror.corp/hub", "docker.io", "docker.io/library/app", "mirror.corp/hub/library/app:1"));
  EXPECT_TRUE(FitsRemapped("mirror.corp/hub/", "docker.io/", "docker.io/library/app", "mirror.corp/hub/library/app:1"));
  EXPECT_TRUE(FitsRemapped("mirror.corp", "docker.io", "docker.io/library/app", "mirror.corp/library/app:1"));
  EXPECT_TRUE(FitsRemapped("mirror.corp/app", "docker.io/library/app", "app", "mirror.corp/app:1"));
}

TEST(ReferenceMatchTest, PrefixEndsAtAComponent) {
  EXPECT_FALSE(FitsRemapped("mirror.corp/hub", "docker.io", "docker.io/ble/app", "mirror.corp/hubble/app:1"));
  EXPECT_FALSE(FitsRemapped("mirror.corp", "docker.io", "docker.io/library/app", "mirror.corp:5000/library/app:1"));
  EXPECT_FALSE(FitsRemapped("mirror.corp", "docker.io", "docker.io/library/app", "mirror.corp.evil/library/app:1"));
}

}  // namespace
}  // namespace bulwark::trust
