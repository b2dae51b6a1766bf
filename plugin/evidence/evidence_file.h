// What one file or one layout of the evidence directory says, by itself. Immutable once read, so that an index can take
// it over from the index before as long as the file has not changed.
#pragma once

#include <stdint.h>
#include <sys/stat.h>

#include <set>
#include <string>
#include <vector>

#include "lib/base/unique_fd.h"
#include "plugin/evidence/evidence_store.h"
#include "plugin/evidence/layout.h"
#include "plugin/trust/verification.h"

namespace bulwark::evidence {

inline constexpr size_t kLayoutSignatureBytesMax = size_t{16} << 20;

// Tells whether a file was replaced or written to. ctime cannot be set by anyone, so an old stamp means old content.
struct FileStamp {
  dev_t device = 0;
  ino_t inode = 0;
  int64_t size = -1;
  int64_t modified_ns = 0;
  int64_t changed_ns = 0;

  static FileStamp Of(const struct stat& facts);
  bool operator==(const FileStamp& other) const = default;
};

struct ReportFile {
  trust::ScanCandidate candidate;
  std::set<std::string> keys;  // digests and canonical names under which it is found
  size_t bytes = 0;
};

// Reads a scan report from an open regular file. A file that others could have written is not parsed, it would not count
// anyway; it and a file that is no report are found by every digest they mention.
ReportFile ReadReport(const base::UniqueFd& file, const std::string& path, bool is_trusted);

// A cosign signature image within a layout.
struct SignatureImage {
  std::string source;
  std::set<std::string> digests;  // what its tag, its subject and its payloads claim to be about: hints
  trust::SignatureEvidence found;
};

struct LayoutSignatures {
  std::vector<SignatureImage> images;
  std::vector<Problem> problems;
  size_t bytes = 0;         // of payloads and signatures
  bool is_cut = false;      // there is more than is looked at
  bool is_complete = true;  // every blob could be read: as long as index.json is the same, so is the result
};

// Finds signature images in a layout: by tag ("sha256-<hex>.sig", also behind a repository), by cosign save's annotation
// "kind", by `subject`, and through a referrers fallback index ("sha256-<hex>"); that is, every manifest that index.json
// leads to and that has a layer of cosign's payload type.
LayoutSignatures ReadSignatures(const Layout& layout);

}  // namespace bulwark::evidence
