#include "plugin/trust/cosign_verifier.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <string_view>
#include <utility>

#include "plugin/trust/reference_match.h"
#include "plugin/trust/simple_signing.h"

namespace bulwark::trust {
namespace {

namespace reason = policy::reason;

struct AuthorityKey {
  std::string authority;
  PublicKey key;
};

// How near a candidate came, in the order of the header; the highest rank of all candidates names the failure.
enum class Rank { kMalformed, kUntrusted, kBadPayload, kDigest, kReference, kAnnotation, kAccepted };

constexpr size_t kQuotedMax = 200;  // bytes of a signed text that go into a detail

struct CandidateResult {
  Rank rank = Rank::kMalformed;
  std::string explanation;
  const AuthorityKey* signer = nullptr;  // set from kBadPayload on
};

std::string_view CodeOf(Rank rank) {
  switch (rank) {
    case Rank::kMalformed:
    case Rank::kBadPayload: return reason::kSignatureInvalid;
    case Rank::kUntrusted: return reason::kSignatureUntrusted;
    case Rank::kDigest: return reason::kSignatureDigestMismatch;
    case Rank::kReference: return reason::kSignatureReferenceMismatch;
    case Rank::kAnnotation: return reason::kSignatureAnnotationMismatch;
    case Rank::kAccepted: return reason::kSignatureThreshold;
  }
  return reason::kSignatureInvalid;
}

bool NamesImage(const SignatureRequirement& requirement, const oci::ImageIdentity& image, const std::string& digest) {
  return (requirement.accept_manifest && digest == image.manifest_digest) ||
         (requirement.accept_index && !image.index_digest.empty() && digest == image.index_digest);
}

// The document is genuine; does it say what the requirement wants?
CandidateResult JudgePayload(const SignatureRequirement& requirement, const oci::ImageIdentity& image,
                             const SignatureCandidate& candidate, const AuthorityKey& signer) {
  const auto payload = ParseSimpleSigning(candidate.payload);
  if (!payload) {
    return {Rank::kBadPayload, fmt::format("payload signed by {}: {}", signer.authority, payload.error().message()), &signer};
  }
  if (!NamesImage(requirement, image, payload->manifest_digest)) {
    const bool is_ours = payload->manifest_digest == image.manifest_digest || payload->manifest_digest == image.index_digest;
    return {Rank::kDigest, fmt::format("{} signed {}, {}", signer.authority, payload->manifest_digest,
                                       is_ours ? "a kind of digest that the rule does not take" : "not this image"), &signer};
  }
  if (!ReferenceFits(requirement, payload->docker_reference, image.reference)) {
    return {Rank::kReference, fmt::format("{} signed it as {}, it is started as {}", signer.authority,
                                          payload->docker_reference.substr(0, kQuotedMax), image.reference), &signer};
  }
  for (const auto& [key, value] : requirement.annotations) {
    const auto found = payload->optional.find(key);
    if (found == payload->optional.end() || found->second != value) {
      return {Rank::kAnnotation, fmt::format("the signed payload lacks annotation {}={}", key, value), &signer};
    }
  }
  return {Rank::kAccepted, "", &signer};
}

CandidateResult JudgeCandidate(const SignatureRequirement& requirement, const oci::ImageIdentity& image,
                               const SignatureCandidate& candidate, const std::vector<AuthorityKey>& keys) {
  if (candidate.payload.size() > kPayloadBytesMax) return {Rank::kMalformed, "payload is larger than 64 KiB", nullptr};
  const auto signature = DecodeBase64Strict(candidate.signature_base64);
  if (!signature) return {Rank::kMalformed, "signature annotation is not standard base64", nullptr};
  for (const AuthorityKey& entry : keys) {
    if (entry.key.Verifies(candidate.payload, *signature)) return JudgePayload(requirement, image, candidate, entry);
  }
  return {Rank::kUntrusted, "no key of the rule made this signature", nullptr};
}

// Parsing a key with OpenSSL 3.0 takes several times as long as verifying with it, and the keys of a policy stay the same
// from one decision to the next: so parsed keys are kept, by their text. A key that is not in use any more goes when the
// memory is full.
base::Result<PublicKey> ParsedKey(const std::string& pem) {
  constexpr size_t kKeysMax = 256;
  static std::mutex mutex;
  static std::map<std::string, PublicKey>* const parsed = new std::map<std::string, PublicKey>();  // guarded by mutex
  {
    const std::lock_guard lock(mutex);
    const auto known = parsed->find(pem);
    if (known != parsed->end()) return known->second;
  }
  ASSIGN_OR_RETURN(PublicKey key, PublicKey::FromPem(pem));
  const std::lock_guard lock(mutex);
  if (parsed->size() >= kKeysMax) parsed->clear();
  parsed->emplace(pem, key);
  return key;
}

base::Result<std::vector<AuthorityKey>> LoadKeys(const SignatureRequirement& requirement) {
  std::vector<AuthorityKey> keys;
  for (const Authority& authority : requirement.authorities) {
    for (const std::string& pem : authority.key_pems) {
      auto key = ParsedKey(pem);
      if (!key) return std::move(key).error().Wrap("key of authority {}", authority.name);
      keys.push_back({authority.name, std::move(key).value()});
    }
  }
  return keys;
}

std::string DescribeKeys(const std::vector<AuthorityKey>& keys) {
  std::string text;
  for (const AuthorityKey& entry : keys) {
    text += fmt::format("{}{} ({}, {})", text.empty() ? "" : ", ", entry.authority, entry.key.algorithm(),
                        entry.key.fingerprint().substr(0, 19));
  }
  return text;
}

policy::ReasonStep NothingFound(const SignatureEvidence& evidence, const std::vector<AuthorityKey>& keys) {
  policy::ReasonStep step{"signature", false, std::string(reason::kSignatureMissing), "", evidence.searched};
  step.detail = fmt::format("no signature found; looked for one by {}", DescribeKeys(keys));
  if (evidence.is_cut) {
    step.code = reason::kSignatureLimit;
    step.detail = "there is more trust material than is looked at, and none of what was looked at signs this image";
  } else if (!evidence.problems.empty()) {
    step.code = reason::kSignatureInvalid;
    step.detail = fmt::format("{}: {}", evidence.problems.front().source, evidence.problems.front().problem);
  }
  return step;
}

// What the candidates looked at so far add up to.
struct Tally {
  size_t tried = 0;
  CandidateResult nearest;
  std::set<std::string> signers;      // key fingerprints: one key under two names is one signer …
  std::set<std::string> authorities;  // … and two keys of one authority are one authority
  std::set<std::string> sources;

  size_t counted() const { return std::min(signers.size(), authorities.size()); }

  void Add(const SignatureCandidate& candidate, CandidateResult result) {
    ++tried;
    sources.insert(candidate.source);
    if (result.rank == Rank::kAccepted && signers.insert(result.signer->key.fingerprint()).second) {
      authorities.insert(result.signer->authority);
    }
    if (tried == 1 || result.rank > nearest.rank) nearest = std::move(result);
  }
};

// Why the candidates that were there do not do.
void Explain(const SignatureRequirement& requirement, const SignatureEvidence& evidence,
             const std::vector<AuthorityKey>& keys, const Tally& tally, policy::ReasonStep& step) {
  if (evidence.is_cut || evidence.candidates.size() > kCandidatesMax) {
    step.code = reason::kSignatureLimit;
    step.detail = fmt::format("more signatures lie with this image than are looked at; the first {} do not satisfy the rule",
                              tally.tried);
    return;
  }
  step.code = CodeOf(tally.nearest.rank);
  if (tally.nearest.rank == Rank::kAccepted) {
    step.detail = fmt::format("{} of {} required authorities have signed: {}; wanted: {}", tally.counted(),
                              requirement.at_least, fmt::join(tally.authorities, ", "), DescribeKeys(keys));
    return;
  }
  step.detail = fmt::format("{} signature(s) found, none counts: {}; wanted: {}", tally.tried,
                            tally.nearest.explanation, DescribeKeys(keys));
}

}  // namespace

policy::ReasonStep VerifySignatures(const SignatureRequirement& requirement, const oci::ImageIdentity& image,
                                    const SignatureEvidence& evidence) {
  policy::ReasonStep step;
  step.check = "signature";
  const auto keys = LoadKeys(requirement);
  if (!keys || keys->empty()) {
    step.code = reason::kEngineError;
    step.detail = keys ? "the rule names no key" : keys.error().message();
    return step;
  }
  if (evidence.candidates.empty()) return NothingFound(evidence, *keys);

  const size_t wanted = std::max(requirement.at_least, 1U);
  Tally tally;
  for (const SignatureCandidate& candidate : evidence.candidates) {
    if (tally.tried == kCandidatesMax || tally.counted() >= wanted) break;
    tally.Add(candidate, JudgeCandidate(requirement, image, candidate, *keys));
  }
  step.evidence.assign(tally.sources.begin(), tally.sources.end());
  step.satisfied = tally.counted() >= wanted;
  if (step.satisfied) {
    step.code = reason::kOk;
    step.detail = fmt::format("signed by {}", fmt::join(tally.authorities, ", "));
  } else {
    Explain(requirement, evidence, *keys, tally, step);
  }
  return step;
}

}  // namespace bulwark::trust
