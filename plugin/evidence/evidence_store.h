// Trust material on this node: an index over the evidence directory (/var/lib/bulwark/evidence), into which
// configuration management, a prefetcher or a person drops
//   - OCI image layouts (image-layout.md) that hold cosign signature images, and
//   - scan reports, as *.json files,
// at any depth up to kDepthMax. Signatures need no protection, they prove themselves; a plain report counts only if
// nobody but root (or the daemon's own user) could have written it: the file and every directory above it up to the
// evidence directory belong to one of them and are not writable by group or others.
//
// The directory is watched with inotify(7). A thread reads what changed soon after it did, because parsing a report takes
// longer than a decision may; a lookup that comes before it first reads what changed itself, so it never answers from
// what was. A change while nothing is looked up costs one reading, however many files it was.
// Where the kernel does not let a directory be watched, every lookup walks the tree. Where inotify is not told (network
// file systems), Refresh() has to be called.
//
// What cannot be read never counts and never stops a lookup; Problems() lists it. A file that is no readable report but
// mentions a digest is found under that digest, so that a broken report is not mistaken for none; it does not overrule a
// good one. How many digests such files may mention is bounded: what goes beyond it is a problem only. Symbolic links and special files are not followed. Thread-safe; a lookup blocks on the file system only after
// a change, and then so do those that come while it reads.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/result.h"
#include "lib/base/unique_fd.h"
#include "lib/oci/image_identity.h"
#include "plugin/trust/verification.h"

namespace bulwark::evidence {

inline constexpr int kDepthMax = 4;  // levels of directories that are read, the evidence directory included
inline constexpr size_t kEntriesMax = 20'000;

struct Problem {
  std::string path;
  std::string problem;
};

class EvidenceIndex;

class EvidenceStore {
 public:
  // Reads the directory. An absent one is an empty store until it appears.
  explicit EvidenceStore(std::string directory);
  ~EvidenceStore();

  // Signature images kept under the tag of one of the image's digests, with one of them as subject, or with a payload
  // that names one of them.
  trust::SignatureEvidence FindSignatures(const oci::ImageIdentity& image);
  // Reports that name one of the image's digests or its reference, and other files that mention one of the digests.
  trust::ScanEvidence FindReports(const oci::ImageIdentity& image);

  // Reads everything again, changed or not.
  void Refresh();
  size_t object_count();
  // What cannot be read: the first thousand, and how many there are.
  std::vector<Problem> Problems();
  size_t problem_count();
  const std::string& directory() const { return directory_; }

 private:
  std::shared_ptr<const EvidenceIndex> Current();
  bool IsCurrent();
  void Read(const EvidenceIndex* previous);
  void FollowChanges();

  const std::string directory_;
  base::UniqueFd watch_;  // inotify; set once
  base::UniqueFd stop_;   // eventfd; set once, written to when the thread is to end
  std::mutex mutex_;
  bool is_blind_ = false;                       // a directory is not watched; guarded by mutex_
  std::shared_ptr<const EvidenceIndex> index_;  // never null; guarded by mutex_
  std::thread follower_;
};

}  // namespace bulwark::evidence
