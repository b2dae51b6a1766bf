// Plain data: what a decision is. The vocabulary that policy, trust, admission, audit and the API share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bulwark::policy {

// How a decision is applied: enforce refuses; audit lets it through and records what it would have refused.
enum class Mode { kEnforce, kAudit };

// One step of the reasoning, in the order it was taken.
struct ReasonStep {
  std::string check;                  // "identity", "policy", "signature", "scan", "profile", "exec"
  bool satisfied = false;
  std::string code;                   // one of the codes below
  std::string detail;                 // for people
  std::vector<std::string> evidence;  // digests or paths of what was looked at
};

struct Decision {
  bool allowed = false;
  bool would_deny = false;            // mode audit, and enforce would have denied
  std::string reason_code;            // kOk, or the code of the first step that was not satisfied
  std::string message;                // image, rule, evidence looked at, next step
  std::string rule;                   // name of the one rule that applied; empty if none did
  std::string rule_file;
  std::string policy_digest;
  Mode mode = Mode::kEnforce;
  std::vector<ReasonStep> steps;
};

// Stable reason codes. They are an interface: tests, alerts and people's runbooks depend on them. Only add.
namespace reason {
inline constexpr std::string_view kOk = "ok";
inline constexpr std::string_view kIdentityUnresolved = "identity.unresolved";          // record or snapshot cannot be read
inline constexpr std::string_view kIdentityNoImage = "identity.no-image";               // the container names no image
inline constexpr std::string_view kIdentityImageMissing = "identity.image-missing";     // the named image is not in the store
inline constexpr std::string_view kIdentityContentMismatch = "identity.content-mismatch";  // name and snapshot differ (re-tag)
inline constexpr std::string_view kIdentityMountsMismatch = "identity.mounts-mismatch"; // rootfs is not the snapshot's
inline constexpr std::string_view kIdentityInvalid = "identity.invalid";                // a blob is malformed or lies
inline constexpr std::string_view kPolicyNoRule = "policy.no-rule";
inline constexpr std::string_view kPolicyDenied = "policy.denied";
inline constexpr std::string_view kPolicyUnavailable = "policy.unavailable";
inline constexpr std::string_view kSignatureMissing = "signature.missing";
inline constexpr std::string_view kSignatureUntrusted = "signature.untrusted-key";
inline constexpr std::string_view kSignatureDigestMismatch = "signature.digest-mismatch";
inline constexpr std::string_view kSignatureReferenceMismatch = "signature.reference-mismatch";
inline constexpr std::string_view kSignatureAnnotationMismatch = "signature.annotation-mismatch";
inline constexpr std::string_view kSignatureInvalid = "signature.invalid";              // malformed payload or object
inline constexpr std::string_view kSignatureLimit = "signature.limit";                  // more candidates than are tried
inline constexpr std::string_view kSignatureThreshold = "signature.threshold";          // fewer authorities than required
inline constexpr std::string_view kScanMissing = "scan.missing";
inline constexpr std::string_view kScanDigestMismatch = "scan.digest-mismatch";
inline constexpr std::string_view kScanStale = "scan.stale";
inline constexpr std::string_view kScanFromFuture = "scan.from-future";
inline constexpr std::string_view kScanFindings = "scan.findings";
inline constexpr std::string_view kScanInvalid = "scan.invalid";
inline constexpr std::string_view kScanUntrustedSource = "scan.untrusted-source";
inline constexpr std::string_view kScanEndOfLife = "scan.end-of-life";
inline constexpr std::string_view kProfileUnavailable = "profile.unavailable";
inline constexpr std::string_view kProfileUnmergeable = "profile.unmergeable";
inline constexpr std::string_view kSpecInvalid = "spec.invalid";
inline constexpr std::string_view kSpecForbidden = "spec.forbidden";                    // the spec asks for what cannot be bounded
inline constexpr std::string_view kExecNotAllowed = "exec.not-allowed";
inline constexpr std::string_view kExecContainerUnknown = "exec.container-unknown";
inline constexpr std::string_view kAuditUnavailable = "audit.unavailable";
inline constexpr std::string_view kDaemonUnavailable = "daemon.unavailable";
inline constexpr std::string_view kEngineError = "engine.error";
}  // namespace reason

}  // namespace bulwark::policy
