#include "plugin/evidence/evidence_store.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <sys/eventfd.h>
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
// Time for a copy of many files to get somewhere before it is read.
constexpr int kSettleMs = 100;

// Empties the queue. An overflow is an event like any other: look at everything.
bool SomethingHappened(const base::UniqueFd& watch) {
  alignas(inotify_event) char buffer[4096];
  bool happened = false;
  while (read(watch.get(), buffer, sizeof buffer) > 0) happened = true;
  return happened;
}

}  // namespace

EvidenceStore::EvidenceStore(std::string directory)
    : directory_(std::move(directory)),
      watch_(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)),
      stop_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  Refresh();
  if (watch_.is_open() && stop_.is_open()) follower_ = std::thread([this] { FollowChanges(); });
}

EvidenceStore::~EvidenceStore() {
  if (!follower_.joinable()) return;
  const uint64_t one = 1;
  (void)!write(stop_.get(), &one, sizeof one);
  follower_.join();
}

void EvidenceStore::FollowChanges() {
  pollfd waits[] = {{stop_.get(), POLLIN, 0}, {watch_.get(), POLLIN, 0}};
  for (;;) {
    if (poll(waits, 2, -1) < 0 && errno != EINTR) return;
    if (waits[0].revents != 0) return;
    if (waits[1].revents == 0) continue;
    if (poll(waits, 1, kSettleMs) > 0) return;
    Current();
  }
}

void EvidenceStore::Refresh() {
  const std::lock_guard lock(mutex_);
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
  const bool happened = SomethingHappened(watch_);  // in any case: the queue must be empty for the thread to sleep
  if (is_blind_ || happened) return false;
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

size_t EvidenceStore::problem_count() { return Current()->problem_count(); }

}  // namespace bulwark::evidence
