#include "plugin/evidence/evidence_index.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>

#include "lib/base/file_io.h"
#include "plugin/trust/cosign_verifier.h"

namespace bulwark::evidence {
namespace {

constexpr size_t kProblemsMax = 1000;
constexpr int kOpenFlags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;

// Whether only root or we can change what lies at a path, as far as the path itself tells.
bool IsOurs(const struct stat& facts) {
  return (facts.st_uid == 0 || facts.st_uid == geteuid()) && (facts.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

// Times of files are as coarse as the kernel's tick, at most 10 ms: what is written twice within one has one stamp.
bool IsSettled(const FileStamp& stamp) {
  constexpr int64_t kTicksNs = 50'000'000;
  struct timespec now {};
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec - stamp.changed_ns > kTicksNs;
}

}  // namespace

class EvidenceIndex::Walk {
 public:
  Walk(EvidenceIndex& index, const EvidenceIndex* previous, const OnDirectory& on_directory)
      : index_(index), previous_(previous), on_directory_(on_directory) {}

  void Run() {
    on_directory_(index_.directory_);
    base::UniqueFd root(open(index_.directory_.c_str(), kOpenFlags | O_DIRECTORY));
    struct stat facts {};
    if (!root.is_open()) {
      if (errno != ENOENT) index_.AddProblem(index_.directory_, "not a directory that can be opened");
      return;
    }
    if (fstat(root.get(), &facts) != 0) return;
    index_.root_ = FileStamp::Of(facts);
    ReadDirectory(std::move(root), index_.directory_, 1, IsOurs(facts));
  }

 private:
  void ReadDirectory(base::UniqueFd directory, const std::string& path, int depth, bool is_trusted) {
    const auto names = base::ListDirectory(path, kEntriesMax);
    if (!names) return index_.AddProblem(path, names.error().message());
    if (std::binary_search(names->begin(), names->end(), "oci-layout")) return AddLayout(std::move(directory), path);
    for (const std::string& name : *names) {
      if (++entries_ > kEntriesMax) {
        if (entries_ == kEntriesMax + 1) {
          index_.AddProblem(path, fmt::format("more than {} entries below {}: the rest is not read", kEntriesMax,
                                              index_.directory_));
        }
        return;
      }
      ReadChild(directory, path, name, depth, is_trusted);
    }
  }

  // Looks first and opens then, because opening a device can do things; what counts is what was opened.
  void ReadChild(const base::UniqueFd& parent, const std::string& parent_path, const std::string& name, int depth,
                 bool is_trusted) {
    const std::string path = parent_path + "/" + name;
    struct stat facts {};
    if (fstatat(parent.get(), name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) != 0) return;
    if (S_ISLNK(facts.st_mode)) return index_.AddProblem(path, "symbolic link: not followed");
    const bool is_directory = S_ISDIR(facts.st_mode);
    if (is_directory && depth >= kDepthMax) return index_.AddProblem(path, "too deep: not read");
    if (!is_directory && !name.ends_with(".json")) return;
    if (!is_directory && !S_ISREG(facts.st_mode)) return index_.AddProblem(path, "not a regular file: not read");
    if (is_directory) on_directory_(path);
    base::UniqueFd file(openat(parent.get(), name.c_str(), kOpenFlags));
    if (!file.is_open()) return index_.AddProblem(path, base::Error::FromErrno("open").message());
    if (fstat(file.get(), &facts) != 0 || S_ISDIR(facts.st_mode) != is_directory) return;
    if (is_directory) return ReadDirectory(std::move(file), path, depth + 1, is_trusted && IsOurs(facts));
    if (S_ISREG(facts.st_mode)) AddReport(file, path, facts, is_trusted && IsOurs(facts));
  }

  void AddReport(const base::UniqueFd& file, const std::string& path, const struct stat& facts, bool is_trusted) {
    Report report{FileStamp::Of(facts), false, nullptr};
    report.is_settled = IsSettled(report.stamp);
    if (previous_ != nullptr) {
      const auto known = previous_->reports_.find(path);
      if (known != previous_->reports_.end() && known->second.is_settled && known->second.stamp == report.stamp &&
          known->second.file->candidate.is_trusted_source == is_trusted) {
        report.file = known->second.file;
      }
    }
    if (!report.file) {
      report.file = std::make_shared<const ReportFile>(ReadReport(file, path, is_trusted));
      index_.bytes_parsed_ += report.file->bytes;
    }
    BoundMentions(report, path);
    index_.reports_.emplace(path, std::move(report));
  }

  // Anybody who may write below the directory could else fill our memory with files that mention digests. A file without
  // its mentions is found by nothing, which denies as well; it stays so until it changes or everything is read again.
  void BoundMentions(Report& report, const std::string& path) {
    if (report.file->candidate.report) return;
    if (index_.mentions_ + report.file->keys.size() <= kMentionsMax) {
      index_.mentions_ += report.file->keys.size();
      return;
    }
    ReportFile bare = {report.file->candidate, {}, report.file->bytes};
    report.file = std::make_shared<const ReportFile>(std::move(bare));
    index_.AddProblem(path, fmt::format("files that are no readable reports mention more than {} digests below {}: not "
                                        "found by those it mentions", kMentionsMax, index_.directory_));
  }

  void AddLayout(base::UniqueFd directory, const std::string& path) {
    // Blobs that are copied after index.json change nothing that is watched otherwise.
    on_directory_(path + "/blobs");
    on_directory_(path + "/blobs/sha256");
    struct stat facts {};
    LayoutEntry entry;
    if (fstatat(directory.get(), "index.json", &facts, AT_SYMLINK_NOFOLLOW) == 0) entry.stamp = FileStamp::Of(facts);
    entry.is_settled = IsSettled(entry.stamp);
    if (previous_ != nullptr) {
      // What was missing or wrong may have been mended by a blob, so only a flawless reading is taken over.
      const auto known = previous_->layouts_.find(path);
      if (known != previous_->layouts_.end() && known->second.is_settled && known->second.stamp == entry.stamp &&
          known->second.signatures->is_complete) {
        entry.signatures = known->second.signatures;
      }
    }
    if (!entry.signatures) {
      const auto layout = Layout::OpenAt(std::move(directory), path);
      if (!layout) return index_.AddProblem(path, layout.error().message());
      entry.signatures = std::make_shared<const LayoutSignatures>(ReadSignatures(*layout));
    }
    if (index_.signature_bytes_ + entry.signatures->bytes > kSignatureBytesMax) {
      index_.is_cut_ = true;
      return index_.AddProblem(path, fmt::format("more than {} MiB of signatures below {}: not kept",
                                                 kSignatureBytesMax >> 20, index_.directory_));
    }
    index_.signature_bytes_ += entry.signatures->bytes;
    if (entry.signatures->is_cut) {
      index_.is_cut_ = true;
      index_.AddProblem(path, "more signatures than are looked at: the rest is not read");
    }
    index_.layouts_.emplace(path, std::move(entry));
  }

  EvidenceIndex& index_;
  const EvidenceIndex* const previous_;
  const OnDirectory& on_directory_;
  size_t entries_ = 0;
};

EvidenceIndex EvidenceIndex::Build(const std::string& directory, const EvidenceIndex* previous,
                                   const OnDirectory& on_directory) {
  EvidenceIndex index;
  index.directory_ = directory;
  Walk(index, previous, on_directory).Run();
  index.Tabulate();
  return index;
}

void EvidenceIndex::Tabulate() {
  for (const auto& [path, layout] : layouts_) {
    for (const Problem& problem : layout.signatures->problems) AddProblem(problem.path, problem.problem);
    for (const SignatureImage& image : layout.signatures->images) {
      object_count_ += image.found.candidates.size();
      for (const std::string& digest : image.digests) signatures_by_digest_.emplace(digest, &image);
    }
  }
  object_count_ += reports_.size();
  for (const auto& [path, report] : reports_) {
    const ReportFile* const file = report.file.get();
    if (!file->candidate.problem.empty()) AddProblem(path, file->candidate.problem);
    for (const std::string& key : file->keys) reports_by_key_.emplace(key, file);
  }
}

void EvidenceIndex::AddProblem(std::string path, std::string problem) {
  ++problem_count_;
  if (problems_.size() < kProblemsMax) problems_.push_back({std::move(path), std::move(problem)});
}

trust::SignatureEvidence EvidenceIndex::FindSignatures(const oci::ImageIdentity& image) const {
  trust::SignatureEvidence found;
  found.searched.push_back(directory_);
  found.is_cut = is_cut_;
  std::set<std::pair<std::string_view, const SignatureImage*>> images;  // by source, so that the order is the same always
  for (const std::string& digest : {image.manifest_digest, image.index_digest}) {
    const auto [first, last] = signatures_by_digest_.equal_range(digest);
    for (auto it = first; it != last; ++it) images.emplace(it->second->source, it->second);
  }
  std::set<std::pair<std::string_view, std::string_view>> known;  // a signature in two layouts is one try
  for (const auto& [source, signatures] : images) {
    found.is_cut |= signatures->found.is_cut;
    for (const trust::SignatureProblem& problem : signatures->found.problems) found.problems.push_back(problem);
    for (const trust::SignatureCandidate& candidate : signatures->found.candidates) {
      if (!known.emplace(candidate.payload_digest, candidate.signature_base64).second) continue;
      if (found.candidates.size() == trust::kCandidatesMax) {
        found.is_cut = true;
        break;
      }
      found.candidates.push_back(candidate);
    }
  }
  return found;
}

trust::ScanEvidence EvidenceIndex::FindReports(const oci::ImageIdentity& image) const {
  trust::ScanEvidence found;
  found.searched.push_back(directory_);
  std::set<std::pair<std::string_view, const ReportFile*>> files;
  for (const std::string& key : {image.manifest_digest, image.index_digest, image.config_digest, image.reference}) {
    const auto [first, last] = reports_by_key_.equal_range(key);
    for (auto it = first; it != last; ++it) files.emplace(it->second->candidate.source, it->second);
  }
  for (const auto& [source, file] : files) found.candidates.push_back(file->candidate);
  return found;
}

}  // namespace bulwark::evidence
