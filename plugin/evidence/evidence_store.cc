#include "plugin/evidence/evidence_store.h"

#include <errno.h>
#include <malloc.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "plugin/evidence/evidence_index.h"

namespace bulwark::evidence {
namespace {

constexpr uint32_t kChanges = IN_CREATE | IN_CLOSE_WRITE | IN_MODIFY | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE |
                              IN_DELETE_SELF | IN_ATTRIB | IN_ONLYDIR | IN_DONT_FOLLOW;
// Parsing reports takes about ten times their size for a moment; beyond this it is given back to the system at once.
constexpr size_t kTrimAfterBytes = size_t{1} << 20;

// Empties the queue. An overflow is an event like any other: look at everything.
bool SomethingHappened(const base::UniqueFd& watch) {
  alignas(inotify_event) char buffer[4096];
  bool happened = false;
  while (read(watch.get(), buffer, sizeof buffer) > 0) happened = true;
  return happened;
}

}  // namespace

EvidenceStore::EvidenceStore(std::string directory) : directory_(std::move(directory)) { Refresh(); }

EvidenceStore::~EvidenceStore() = default;

void EvidenceStore::Refresh() {
  const std::lock_guard lock(mutex_);
  watch_.Reset(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  Read(nullptr);
}

void EvidenceStore::Read(const EvidenceIndex* previous) {
  // Watches are set before each directory is read: what changes meanwhile is seen at the next lookup.
  is_blind_ = !watch_.is_open();
  const auto watch = [this](const std::string& path) {
    if (inotify_add_watch(watch_.get(), path.c_str(), kChanges) >= 0) return;
    if (errno != ENOENT && errno != ENOTDIR) is_blind_ = true;
  };
  index_ = std::make_shared<const EvidenceIndex>(EvidenceIndex::Build(directory_, previous, watch));
  if (index_->bytes_parsed() > kTrimAfterBytes) malloc_trim(0);
}

bool EvidenceStore::IsCurrent() {
  if (is_blind_ || SomethingHappened(watch_)) return false;
  // Another directory may have taken the place of the one that is watched.
  struct stat facts {};
  const bool exists = lstat(directory_.c_str(), &facts) == 0;
  return exists ? facts.st_dev == index_->root().device && facts.st_ino == index_->root().inode
                : index_->root() == FileStamp();
}

std::shared_ptr<const EvidenceIndex> EvidenceStore::Current() {
  const std::lock_guard lock(mutex_);
  if (!IsCurrent()) {
    const std::shared_ptr<const EvidenceIndex> previous = index_;
    Read(previous.get());
  }
  return index_;
}

trust::SignatureEvidence EvidenceStore::FindSignatures(const oci::ImageIdentity& image) {
  return Current()->FindSignatures(image);
}

trust::ScanEvidence EvidenceStore::FindReports(const oci::ImageIdentity& image) { return Current()->FindReports(image); }

size_t EvidenceStore::object_count() { return Current()->object_count(); }

std::vector<Problem> EvidenceStore::Problems() { return Current()->problems(); }

}  // namespace bulwark::evidence
