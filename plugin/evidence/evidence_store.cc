#include "plugin/evidence/evidence_store.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <utility>

#include "plugin/evidence/evidence_index.h"

namespace bulwark::evidence {
namespace {

constexpr uint32_t kChanges = IN_CREATE | IN_CLOSE_WRITE | IN_MODIFY | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE |
                              IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB | IN_ONLYDIR | IN_DONT_FOLLOW;

// Empties the queue; an overflow is an event like any other: read everything again.
bool SomethingHappened(int watch) {
  char buffer[4096];
  bool happened = false;
  while (read(watch, buffer, sizeof buffer) > 0) happened = true;
  return happened;
}

}  // namespace

EvidenceStore::EvidenceStore(std::string directory) : directory_(std::move(directory)) { Refresh(); }

EvidenceStore::~EvidenceStore() = default;

void EvidenceStore::Refresh() {
  const std::lock_guard lock(mutex_);
  // Watches are set before each directory is read, on a new descriptor: what changes meanwhile is seen at the next
  // lookup.
  watch_.Reset(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  index_ = std::make_shared<const EvidenceIndex>(EvidenceIndex::Build(directory_, [this](const std::string& path) {
    inotify_add_watch(watch_.get(), path.c_str(), kChanges);
    // Blobs of a layout lie deeper; its index.json is replaced last by every tool that writes layouts.
  }));
}

std::shared_ptr<const EvidenceIndex> EvidenceStore::Current() {
  {
    const std::lock_guard lock(mutex_);
    if (!watch_.is_open() || !SomethingHappened(watch_.get())) return index_;
  }
  Refresh();
  const std::lock_guard lock(mutex_);
  return index_;
}

trust::SignatureEvidence EvidenceStore::FindSignatures(const oci::ImageIdentity& image) {
  return Current()->FindSignatures(image);
}

trust::ScanEvidence EvidenceStore::FindReports(const oci::ImageIdentity& image) { return Current()->FindReports(image); }

size_t EvidenceStore::object_count() { return Current()->object_count(); }

std::vector<Problem> EvidenceStore::Problems() { return Current()->problems(); }

}  // namespace bulwark::evidence
