// Trust material on this node: an index over the evidence directory (/var/lib/bulwark/evidence), into which
// configuration management, a prefetcher or a person drops
//   - OCI image layouts (image-layout.md) that hold cosign signature images, and
//   - scan reports, as *.json files.
// at any depth up to kDepthMax. Signatures need no protection, they prove themselves; a plain report counts only if
// nobody but root (or the daemon's own user) could have written it.
//
// The directory is watched with inotify(7): a lookup first looks whether anything changed and, if so, reads the tree
// again. Where inotify is not told (network file systems), Refresh() has to be called.
//
// What cannot be read never counts and never stops a lookup; Problems() lists it. Symbolic links and special files are
// not followed. Thread-safe; a lookup blocks on the file system only after a change.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "lib/base/result.h"
#include "lib/base/unique_fd.h"
#include "lib/oci/image_identity.h"
#include "plugin/trust/verification.h"

namespace bulwark::evidence {

inline constexpr int kDepthMax = 4;
inline constexpr size_t kEntriesMax = 20'000;

struct Problem {
  std::string path;
  std::string problem;
};

class EvidenceIndex;

class EvidenceStore {
 public:
  // An absent directory is an empty store until it appears and Refresh() is called.
  explicit EvidenceStore(std::string directory);
  ~EvidenceStore();

  // Signatures kept under the tag of one of the image's digests, or whose payload names one of them.
  trust::SignatureEvidence FindSignatures(const oci::ImageIdentity& image);
  // Reports that name one of the image's digests or its reference, and unreadable files that mention one of them.
  trust::ScanEvidence FindReports(const oci::ImageIdentity& image);

  void Refresh();
  size_t object_count();
  std::vector<Problem> Problems();
  const std::string& directory() const { return directory_; }

 private:
  std::shared_ptr<const EvidenceIndex> Current();

  const std::string directory_;
  std::mutex mutex_;
  base::UniqueFd watch_;                         // inotify; guarded by mutex_
  std::shared_ptr<const EvidenceIndex> index_;   // guarded by mutex_
};

}  // namespace bulwark::evidence
