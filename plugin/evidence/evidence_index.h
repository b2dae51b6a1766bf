// One reading of the evidence directory: immutable once built, found by digest or name in memory.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "plugin/evidence/evidence_store.h"
#include "plugin/trust/verification.h"

namespace bulwark::evidence {

class EvidenceIndex {
 public:
  // Reads the whole tree below `directory`. `on_directory` is called for each directory before it is read, so that a
  // watch set there misses nothing.
  static EvidenceIndex Build(const std::string& directory, const std::function<void(const std::string&)>& on_directory);

  trust::SignatureEvidence FindSignatures(const oci::ImageIdentity& image) const;
  trust::ScanEvidence FindReports(const oci::ImageIdentity& image) const;
  size_t object_count() const { return signatures_.size() + reports_.size(); }
  const std::vector<Problem>& problems() const { return problems_; }

 private:
  struct Walk;
  void ReadDirectory(Walk& walk, const std::string& path, int depth, bool is_trusted);
  void AddLayout(const std::string& path);
  void AddReport(const std::string& path, bool is_trusted);
  void AddSignatures(const std::string& source, const std::string& tagged_digest, trust::SignatureEvidence found);

  std::string directory_;
  std::vector<trust::SignatureCandidate> signatures_;
  std::multimap<std::string, size_t> signatures_by_digest_;          // digest a tag or a payload names → signatures_
  std::multimap<std::string, trust::SignatureProblem> signature_problems_;  // by the digest a tag names
  std::vector<trust::ScanCandidate> reports_;
  std::multimap<std::string, size_t> reports_by_key_;                // digest or canonical name → reports_
  std::vector<Problem> problems_;
};

}  // namespace bulwark::evidence
