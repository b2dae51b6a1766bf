// Plain data: evidence as it was found, before it is judged. Where it was found proves nothing.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "plugin/trust/scan_report.h"

namespace bulwark::trust {

// One layer of a cosign signature image (trust material is hashed by whoever found it: `payload` has the digest that its
// descriptor names).
struct SignatureCandidate {
  std::string source;            // for people: where it was found
  std::string payload;           // raw bytes of the simple-signing document
  std::string payload_digest;
  std::string signature_base64;  // annotation dev.cosignproject.cosign/signature
};

// A place where a signature was looked for and something was wrong with it (unreadable, malformed, lying about its hash).
struct SignatureProblem {
  std::string source;
  std::string problem;
};

struct SignatureEvidence {
  std::vector<SignatureCandidate> candidates;
  std::vector<SignatureProblem> problems;
  std::vector<std::string> searched;  // places, whether or not something was there
  bool is_cut = false;                // there were more candidates than are looked at
};

// A file that is, or claims to be, a report about the image. Parsed once, when the file was found.
struct ScanCandidate {
  std::string source;  // path
  std::string digest;  // of the bytes
  bool is_trusted_source = false;  // only root or the daemon's own user can have written it
  std::shared_ptr<const ScanReport> report;  // null: the file cannot be read as a report …
  std::string problem;                       // … because of this
};

struct ScanEvidence {
  std::vector<ScanCandidate> candidates;
  std::vector<std::string> searched;
};

}  // namespace bulwark::trust
