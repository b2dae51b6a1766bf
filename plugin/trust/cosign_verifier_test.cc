#include "plugin/trust/cosign_verifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugin/trust/signing_test_support.h"

namespace bulwark::trust {
namespace {

using ::testing::HasSubstr;
namespace reason = policy::reason;

class CosignVerifierTest : public ::testing::Test {
 protected:
  CosignVerifierTest() { requirement_.authorities = {Trust("build", build_)}; }

  static Authority Trust(std::string name, const TestKey& key) { return {std::move(name), {key.Pem()}, {"/k.pub"}}; }

  policy::ReasonStep Verify(std::vector<SignatureCandidate> candidates, bool is_cut = false) {
    SignatureEvidence evidence;
    evidence.candidates = std::move(candidates);
    evidence.searched = {"/var/lib/bulwark/evidence"};
    evidence.is_cut = is_cut;
    return VerifySignatures(requirement_, image_, evidence);
  }

  void ExpectRefused(std::vector<SignatureCandidate> candidates, std::string_view code) {
    const policy::ReasonStep step = Verify(std::move(candidates));
    EXPECT_FALSE(step.satisfied);
    EXPECT_EQ(step.code, code) << step.detail;
    EXPECT_EQ(step.check, "signature");
    EXPECT_FALSE(step.detail.empty());
  }

  void ExpectAccepted(std::vector<SignatureCandidate> candidates) {
    const policy::ReasonStep step = Verify(std::move(candidates));
    EXPECT_TRUE(step.satisfied) << step.code << ": " << step.detail;
    EXPECT_EQ(step.code, reason::kOk);
  }

  SignatureCandidate Good(const TestKey& key) const { return TestCandidate(key, TestPayload(image_.manifest_digest)); }

  const TestKey build_ = TestKey::Ecdsa("P-256");
  const TestKey release_ = TestKey::Ed25519();
  const TestKey stranger_ = TestKey::Ecdsa("P-256");
  oci::ImageIdentity image_ = TestImage();
  SignatureRequirement requirement_;
};

TEST_F(CosignVerifierTest, SignatureOnTheManifestIsAccepted) { ExpectAccepted({Good(build_)}); }

TEST_F(CosignVerifierTest, SignatureOnTheIndexThatListsTheManifestIsAccepted) {
  ExpectAccepted({TestCandidate(build_, TestPayload(image_.index_digest))});
}

TEST_F(CosignVerifierTest, TheRuleSaysWhichDigestsCount) {
  requirement_.accept_index = false;
  ExpectRefused({TestCandidate(build_, TestPayload(image_.index_digest))}, reason::kSignatureDigestMismatch);
  ExpectAccepted({Good(build_)});
  requirement_.accept_index = true;
  requirement_.accept_manifest = false;
  ExpectRefused({Good(build_)}, reason::kSignatureDigestMismatch);
  ExpectAccepted({TestCandidate(build_, TestPayload(image_.index_digest))});
}

TEST_F(CosignVerifierTest, NoSignatureIsMissing) {
  ExpectRefused({}, reason::kSignatureMissing);
  EXPECT_EQ(Verify({}).evidence, std::vector<std::string>{"/var/lib/bulwark/evidence"});
  EXPECT_THAT(Verify({}).detail, HasSubstr("build (ECDSA P-256, sha256:"));
}

TEST_F(CosignVerifierTest, SomethingBrokenInPlaceOfASignatureIsInvalidNotMissing) {
  SignatureEvidence evidence;
  evidence.problems = {{"layout /l sha256-aa.sig", "malformed"}};
  const auto step = VerifySignatures(requirement_, image_, evidence);
  EXPECT_FALSE(step.satisfied);
  EXPECT_EQ(step.code, reason::kSignatureInvalid);
  EXPECT_THAT(step.detail, HasSubstr("layout /l"));
}

TEST_F(CosignVerifierTest, KeyThatTheRuleDoesNotNameIsUntrusted) {
  ExpectRefused({Good(stranger_)}, reason::kSignatureUntrusted);
}

TEST_F(CosignVerifierTest, PayloadChangedAfterSigningIsUntrusted) {
  SignatureCandidate candidate = TestCandidate(build_, TestPayload(TestDigest('e')));
  candidate.payload = TestPayload(image_.manifest_digest);
  ExpectRefused({candidate}, reason::kSignatureUntrusted);
  candidate = Good(build_);
  candidate.payload += " ";
  ExpectRefused({candidate}, reason::kSignatureUntrusted);
}

TEST_F(CosignVerifierTest, DigestThatIsNotThisImageIsAMismatch) {
  for (const std::string& digest : {TestDigest('e'), image_.config_digest, "sha512:" + std::string(128, 'a')}) {
    ExpectRefused({TestCandidate(build_, TestPayload(digest))}, reason::kSignatureDigestMismatch);
  }
}

TEST_F(CosignVerifierTest, ImageWithoutIndexIsNotMatchedByAnEmptyDigest) {
  image_.index_digest.clear();
  ExpectRefused({TestCandidate(build_, TestPayload(""))}, reason::kSignatureInvalid);
  ExpectRefused({TestCandidate(build_, TestPayload(TestDigest('d')))}, reason::kSignatureDigestMismatch);
}

TEST_F(CosignVerifierTest, DigestsInAnotherSpellingAreInvalid) {
  ExpectRefused({TestCandidate(build_, TestPayload("sha256:" + std::string(64, 'A')))}, reason::kSignatureInvalid);
  ExpectRefused({TestCandidate(build_, TestPayload("sha256:" + std::string(63, 'a')))}, reason::kSignatureInvalid);
}

TEST_F(CosignVerifierTest, GenuineSignatureOnGarbageIsInvalid) {
  for (const std::string_view garbage : {"", "[]", "null", "{}", "{\"critical\":", "not json"}) {
    ExpectRefused({TestCandidate(build_, std::string(garbage))}, reason::kSignatureInvalid);
  }
}

TEST_F(CosignVerifierTest, GenuineSignatureOnAnotherProtocolsPayloadIsInvalid) {
  ExpectRefused({TestCandidate(build_, TestPayload(image_.manifest_digest, "registry.corp/prod/app", "null",
                                                   "atomic container signature"))},
                reason::kSignatureInvalid);
}

TEST_F(CosignVerifierTest, GenuineSignatureOnAPayloadWithTwoDigestsIsInvalid) {
  std::string payload = TestPayload(TestDigest('e'));
  payload.insert(payload.find("\"docker-manifest-digest\""),
                 fmt::format("\"docker-manifest-digest\":\"{}\",", image_.manifest_digest));
  ExpectRefused({TestCandidate(build_, payload)}, reason::kSignatureInvalid);
}

TEST_F(CosignVerifierTest, ImageCopiedToAnotherRepositoryIsAReferenceMismatch) {
  ExpectRefused({TestCandidate(build_, TestPayload(image_.manifest_digest, "registry.corp/test/app"))},
                reason::kSignatureReferenceMismatch);
  requirement_.reference_match = ReferenceMatch::kAny;
  ExpectAccepted({TestCandidate(build_, TestPayload(image_.manifest_digest, "registry.corp/test/app"))});
}

TEST_F(CosignVerifierTest, ImageWithoutANameFitsNoReference) {
  image_.reference.clear();
  ExpectRefused({Good(build_)}, reason::kSignatureReferenceMismatch);
}

TEST_F(CosignVerifierTest, AnnotationsTheRuleWantsMustBeSignedAsText) {
  requirement_.annotations = {{"env", "prod"}, {"approved", "1"}};
  const auto with = [&](std::string_view optional) {
    return TestCandidate(build_, TestPayload(image_.manifest_digest, "registry.corp/prod/app", optional));
  };
  ExpectAccepted({with(R"({"env":"prod","approved":"1","more":"x"})")});
  for (const std::string_view optional : {"null", "{}", R"({"env":"prod"})", R"({"env":"prod","approved":"2"})",
                                          R"({"env":"prod","approved":1})", R"({"env":"prod","approved":["1"]})"}) {
    ExpectRefused({with(optional)}, reason::kSignatureAnnotationMismatch);
  }
}

TEST_F(CosignVerifierTest, SignatureInSloppyBase64IsInvalid) {
  const SignatureCandidate good = Good(build_);
  for (const std::string& text : {std::string(), good.signature_base64 + "\n", " " + good.signature_base64,
                                  good.signature_base64 + "AAAA=", good.signature_base64.substr(1)}) {
    SignatureCandidate candidate = good;
    candidate.signature_base64 = text;
    const auto step = Verify({candidate});
    EXPECT_FALSE(step.satisfied);
    EXPECT_TRUE(step.code == reason::kSignatureInvalid || step.code == reason::kSignatureUntrusted) << step.code;
  }
}

TEST_F(CosignVerifierTest, EveryAlgorithmIsAccepted) {
  for (const TestKey& key : {TestKey::Ecdsa("P-384"), TestKey::Ecdsa("P-521"), TestKey::Rsa(2048), TestKey::Ed25519()}) {
    requirement_.authorities = {Trust("build", key)};
    ExpectAccepted({Good(key)});
  }
}

TEST_F(CosignVerifierTest, JunkNeitherHidesNorReplacesAGoodSignature) {
  std::vector<SignatureCandidate> candidates(kCandidatesMax - 1, {"junk", "junk", TestDigest('f'), "!"});
  candidates.push_back(Good(build_));
  ExpectAccepted(candidates);
  candidates.back() = Good(stranger_);
  ExpectRefused(candidates, reason::kSignatureUntrusted);
}

TEST_F(CosignVerifierTest, AFloodIsBoundedAndSaysSo) {
  std::vector<SignatureCandidate> candidates(100'000, {"junk", "junk", TestDigest('f'), "AAAA"});
  candidates.push_back(Good(build_));
  ExpectRefused(candidates, reason::kSignatureLimit);
  EXPECT_EQ(Verify({Good(stranger_)}, true).code, reason::kSignatureLimit);
  EXPECT_EQ(Verify({}, true).code, reason::kSignatureLimit);
  EXPECT_TRUE(Verify({Good(build_)}, true).satisfied) << "what was found within the bound counts";
}

TEST_F(CosignVerifierTest, TheNearestFailureNamesTheCode) {
  ExpectRefused({Good(stranger_), TestCandidate(build_, TestPayload(TestDigest('e')))}, reason::kSignatureDigestMismatch);
  ExpectRefused({TestCandidate(build_, TestPayload(image_.manifest_digest, "x.corp/a")),
                 TestCandidate(build_, TestPayload(TestDigest('e'))), Good(stranger_)},
                reason::kSignatureReferenceMismatch);
  ExpectRefused({Good(stranger_), TestCandidate(build_, "garbage")}, reason::kSignatureInvalid);
}

class ThresholdTest : public CosignVerifierTest {
 protected:
  ThresholdTest() {
    requirement_.authorities = {Trust("build", build_), Trust("release", release_)};
    requirement_.at_least = 2;
  }
};

TEST_F(ThresholdTest, TwoAuthoritiesSatisfyTwo) { ExpectAccepted({Good(build_), Good(release_)}); }

TEST_F(ThresholdTest, OneAuthorityDoesNot) {
  ExpectRefused({Good(build_)}, reason::kSignatureThreshold);
  EXPECT_THAT(Verify({Good(build_)}).detail, HasSubstr("1 of 2"));
}

TEST_F(ThresholdTest, TheSameKeyTwiceCountsOnce) {
  ExpectRefused({Good(build_), Good(build_)}, reason::kSignatureThreshold);
}

TEST_F(ThresholdTest, OneKeyUnderTwoNamesCountsOnce) {
  requirement_.authorities = {Trust("build", build_), Trust("release", build_)};
  requirement_.authorities[1].key_pems[0] = "the very same key\n" + build_.Pem();
  ExpectRefused({Good(build_), Good(build_)}, reason::kSignatureThreshold);
}

TEST_F(ThresholdTest, TwoKeysOfOneAuthorityCountOnce) {
  requirement_.authorities[0].key_pems.push_back(stranger_.Pem());
  ExpectRefused({Good(build_), Good(stranger_)}, reason::kSignatureThreshold);
  ExpectAccepted({Good(stranger_), Good(release_)});
}

TEST_F(ThresholdTest, SignaturesThatDoNotFitDoNotCount) {
  ExpectRefused({Good(build_), TestCandidate(release_, TestPayload(TestDigest('e')))}, reason::kSignatureThreshold);
}

TEST_F(CosignVerifierTest, AtLeastZeroStillWantsOne) {
  requirement_.at_least = 0;
  ExpectRefused({}, reason::kSignatureMissing);
  ExpectRefused({Good(stranger_)}, reason::kSignatureUntrusted);
}

TEST_F(CosignVerifierTest, RuleWithoutUsableKeysRefusesEverything) {
  requirement_.authorities.clear();
  ExpectRefused({Good(build_)}, reason::kEngineError);
  requirement_.authorities = {{"build", {}, {}}};
  ExpectRefused({Good(build_)}, reason::kEngineError);
  requirement_.authorities = {Trust("build", build_), {"release", {"no key"}, {"/k.pub"}}};
  ExpectRefused({Good(build_)}, reason::kEngineError);
}

TEST_F(CosignVerifierTest, TextsOfThePayloadAreBoundedInTheDetail) {
  const auto step = Verify({TestCandidate(build_, TestPayload(image_.manifest_digest, std::string(10'000, 'r')))});
  EXPECT_EQ(step.code, reason::kSignatureReferenceMismatch);
  EXPECT_LT(step.detail.size(), 1000u);
}

}  // namespace
}  // namespace bulwark::trust
