// One reading of the evidence directory: immutable once built, found by digest or name in memory.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "plugin/evidence/evidence_file.h"
#include "plugin/evidence/evidence_store.h"
#include "plugin/trust/verification.h"

namespace bulwark::evidence {

inline constexpr size_t kSignatureBytesMax = size_t{64} << 20;
// Digests mentioned by files that are no readable report, all together: each costs about 300 bytes.
inline constexpr size_t kMentionsMax = 65'536;

class EvidenceIndex {
 public:
  using OnDirectory = std::function<void(const std::string& path)>;

  // Reads the tree below `directory`. What has not changed since `previous` (may be null) was built is taken over from it.
  // `on_directory` is called for each directory before it is read, so that a watch set there misses nothing; for a
  // layout also for the directories of its blobs, which may not exist yet.
  static EvidenceIndex Build(const std::string& directory, const EvidenceIndex* previous,
                             const OnDirectory& on_directory);

  trust::SignatureEvidence FindSignatures(const oci::ImageIdentity& image) const;
  trust::ScanEvidence FindReports(const oci::ImageIdentity& image) const;

  size_t object_count() const { return object_count_; }
  const std::vector<Problem>& problems() const { return problems_; }  // at most 1000
  size_t problem_count() const { return problem_count_; }             // all
  // Of the directory itself; default if it could not be opened.
  const FileStamp& root() const { return root_; }
  size_t bytes_parsed() const { return bytes_parsed_; }  // by this Build, not taken over

 private:
  struct Report {
    FileStamp stamp;
    bool is_settled = false;  // when it was read, the stamp was old enough to tell it from any later content
    std::shared_ptr<const ReportFile> file;
  };
  struct LayoutEntry {
    FileStamp stamp;  // of index.json
    bool is_settled = false;
    std::shared_ptr<const LayoutSignatures> signatures;
  };
  class Walk;

  void Tabulate();
  void AddProblem(std::string path, std::string problem);

  std::string directory_;
  FileStamp root_;
  std::map<std::string, Report> reports_;       // by path
  std::map<std::string, LayoutEntry> layouts_;  // by path
  std::multimap<std::string, const ReportFile*> reports_by_key_;
  std::multimap<std::string, const SignatureImage*> signatures_by_digest_;
  std::vector<Problem> problems_;
  size_t object_count_ = 0;
  size_t problem_count_ = 0;
  size_t signature_bytes_ = 0;
  size_t mentions_ = 0;  // keys of files that are no readable report
  size_t bytes_parsed_ = 0;
  bool is_cut_ = false;  // there were more signatures than are kept
};

}  // namespace bulwark::evidence
