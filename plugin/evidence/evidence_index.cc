#include "plugin/evidence/evidence_index.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>

#include "lib/base/file_io.h"
#include "lib/oci/digest.h"
#include "lib/oci/image_reference.h"
#include "plugin/evidence/layout.h"
#include "plugin/trust/cosign_verifier.h"
#include "plugin/trust/signature_image.h"
#include "plugin/trust/simple_signing.h"

namespace bulwark::evidence {
namespace {

constexpr std::string_view kRefName = "org.opencontainers.image.ref.name";
constexpr size_t kMentionsMax = 4096;
constexpr size_t kProblemsMax = 1000;

// Whether only root or we can change what is at a path, as far as the path itself tells.
bool IsOurs(const struct stat& facts) {
  return (facts.st_uid == 0 || facts.st_uid == geteuid()) && (facts.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

// "sha256-<hex>.sig", also behind a repository ("reg/app:sha256-<hex>.sig"), gives "sha256:<hex>"; else empty.
std::string DigestOfSignatureTag(std::string_view name) {
  if (const size_t colon = name.rfind(':'); colon != std::string_view::npos) name.remove_prefix(colon + 1);
  if (!name.ends_with(".sig")) return {};
  name.remove_suffix(4);
  const size_t dash = name.find('-');
  if (dash == std::string_view::npos) return {};
  std::string digest = fmt::format("{}:{}", name.substr(0, dash), name.substr(dash + 1));
  return oci::IsDigest(digest) ? digest : std::string();
}

// Every digest that is written somewhere in a file which is no report: enough to tell whose evidence is broken.
std::set<std::string> MentionedDigests(std::string_view bytes) {
  std::set<std::string> mentioned;
  constexpr size_t kLength = 7 + 64;
  for (size_t at = bytes.find("sha256:"); at != std::string_view::npos && mentioned.size() < kMentionsMax;
       at = bytes.find("sha256:", at + 1)) {
    if (oci::IsDigest(bytes.substr(at, kLength))) mentioned.emplace(bytes.substr(at, kLength));
  }
  return mentioned;
}

std::vector<std::string> DigestsOf(const oci::ImageIdentity& image) {
  std::vector<std::string> digests;
  for (const std::string& digest : {image.manifest_digest, image.index_digest, image.config_digest}) {
    if (!digest.empty()) digests.push_back(digest);
  }
  return digests;
}

}  // namespace

struct EvidenceIndex::Walk {
  const std::function<void(const std::string&)>& on_directory;
  size_t entries = 0;
};

EvidenceIndex EvidenceIndex::Build(const std::string& directory,
                                   const std::function<void(const std::string&)>& on_directory) {
  EvidenceIndex index;
  index.directory_ = directory;
  Walk walk{on_directory};
  struct stat facts{};
  if (lstat(directory.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode)) {
    index.ReadDirectory(walk, directory, 0, IsOurs(facts));
  }
  return index;
}

void EvidenceIndex::ReadDirectory(Walk& walk, const std::string& path, int depth, bool is_trusted) {
  walk.on_directory(path);
  const auto report = [&](const std::string& where, std::string problem) {
    if (problems_.size() < kProblemsMax) problems_.push_back({where, std::move(problem)});
  };
  auto names = base::ListDirectory(path, kEntriesMax);
  if (!names) return report(path, names.error().message());
  if (std::binary_search(names->begin(), names->end(), "oci-layout")) return AddLayout(path);
  for (const std::string& name : *names) {
    const std::string child = path + "/" + name;
    struct stat facts{};
    if (++walk.entries > kEntriesMax) return report(path, fmt::format("more than {} files: the rest is not read", kEntriesMax));
    if (lstat(child.c_str(), &facts) != 0) continue;
    if (S_ISDIR(facts.st_mode)) {
      if (depth + 1 >= kDepthMax) {
        report(child, "too deep: not read");
        continue;
      }
      ReadDirectory(walk, child, depth + 1, is_trusted && IsOurs(facts));
    } else if (S_ISREG(facts.st_mode) && name.ends_with(".json")) {
      AddReport(child, is_trusted && IsOurs(facts));
    } else if (S_ISLNK(facts.st_mode)) {
      report(child, "symbolic link: not followed");
    }
  }
}

void EvidenceIndex::AddLayout(const std::string& path) {
  const auto layout = Layout::Open(path);
  if (!layout) {
    if (problems_.size() < kProblemsMax) problems_.push_back({path, layout.error().message()});
    return;
  }
  const trust::BlobReader read = [&](const std::string& digest, size_t max_bytes) {
    return layout->ReadBlob(digest, max_bytes);
  };
  for (const oci::Descriptor& entry : layout->index().manifests) {
    const std::string_view ref_name = entry.Annotation(kRefName);
    const std::string tagged = DigestOfSignatureTag(ref_name);
    const bool is_saved = entry.Annotation("kind") == "dev.cosignproject.cosign/sigs";
    if (tagged.empty() && !is_saved) continue;
    const std::string source = fmt::format("{} {}", path, ref_name.empty() ? entry.digest : std::string(ref_name));
    trust::SignatureEvidence found;
    auto manifest = layout->ReadBlob(entry.digest, oci::kManifestBytesMax);
    if (manifest) {
      trust::CollectSignatures(*manifest, source, read, found);
    } else {
      found.problems.push_back({source, manifest.error().message()});
    }
    AddSignatures(source, tagged, std::move(found));
  }
}

void EvidenceIndex::AddSignatures(const std::string& source, const std::string& tagged_digest,
                                  trust::SignatureEvidence found) {
  for (trust::SignatureProblem& problem : found.problems) {
    if (problems_.size() < kProblemsMax) problems_.push_back({source, problem.problem});
    signature_problems_.emplace(tagged_digest, std::move(problem));
  }
  for (trust::SignatureCandidate& candidate : found.candidates) {
    std::set<std::string> digests;
    if (!tagged_digest.empty()) digests.insert(tagged_digest);
    if (auto payload = trust::ParseSimpleSigning(candidate.payload)) digests.insert(payload->manifest_digest);
    for (const std::string& digest : digests) signatures_by_digest_.emplace(digest, signatures_.size());
    signatures_.push_back(std::move(candidate));
  }
}

void EvidenceIndex::AddReport(const std::string& path, bool is_trusted) {
  trust::ScanCandidate candidate;
  candidate.source = path;
  candidate.is_trusted_source = is_trusted;
  std::set<std::string> keys;
  auto bytes = base::ReadFile(path, trust::kReportBytesMax);
  if (bytes) {
    candidate.digest = oci::Sha256Digest(*bytes);
    auto report = trust::ParseTrivyReport(*bytes);
    if (report) {
      keys.insert(report->config_digest);
      keys.insert(report->repo_digests.begin(), report->repo_digests.end());
      for (const std::string& name : report->names) {
        if (auto reference = oci::ImageReference::Parse(name)) keys.insert(reference->Canonical());
      }
      candidate.report = std::make_shared<const trust::ScanReport>(std::move(report).value());
    } else {
      candidate.problem = report.error().message();
      keys = MentionedDigests(*bytes);
    }
  } else {
    candidate.problem = bytes.error().message();
  }
  if (!candidate.problem.empty() && problems_.size() < kProblemsMax) problems_.push_back({path, candidate.problem});
  for (const std::string& key : keys) reports_by_key_.emplace(key, reports_.size());
  reports_.push_back(std::move(candidate));
}

trust::SignatureEvidence EvidenceIndex::FindSignatures(const oci::ImageIdentity& image) const {
  trust::SignatureEvidence found;
  found.searched.push_back(directory_);
  std::set<size_t> chosen;
  for (const std::string& digest : {image.manifest_digest, image.index_digest}) {
    if (digest.empty()) continue;
    const auto [first, last] = signatures_by_digest_.equal_range(digest);
    for (auto it = first; it != last; ++it) chosen.insert(it->second);
    const auto [bad_first, bad_last] = signature_problems_.equal_range(digest);
    for (auto it = bad_first; it != bad_last; ++it) found.problems.push_back(it->second);
  }
  for (const size_t i : chosen) {
    if (found.candidates.size() == trust::kCandidatesMax) {
      found.is_cut = true;
      break;
    }
    found.candidates.push_back(signatures_[i]);
  }
  return found;
}

trust::ScanEvidence EvidenceIndex::FindReports(const oci::ImageIdentity& image) const {
  trust::ScanEvidence found;
  found.searched.push_back(directory_);
  std::vector<std::string> keys = DigestsOf(image);
  if (!image.reference.empty()) keys.push_back(image.reference);
  std::set<size_t> chosen;
  for (const std::string& key : keys) {
    const auto [first, last] = reports_by_key_.equal_range(key);
    for (auto it = first; it != last; ++it) chosen.insert(it->second);
  }
  for (const size_t i : chosen) found.candidates.push_back(reports_[i]);
  return found;
}

}  // namespace bulwark::evidence
