// For tests: Trivy reports as Trivy writes them, field by field.
#pragma once

#include <fmt/ranges.h>

#include <string>
#include <string_view>
#include <vector>

#include "plugin/trust/signing_test_support.h"

namespace bulwark::trust {

inline constexpr int64_t kScannedAtNs = 1'709'208'000'000'000'000;  // 2024-02-29T12:00:00Z

inline std::string TrivyFinding(std::string_view id, std::string_view severity, std::string_view fixed_version) {
  return fmt::format(
      R"({{"VulnerabilityID":"{}","PkgName":"openssl","InstalledVersion":"1.0","FixedVersion":"{}","Severity":"{}",)"
      R"("Layer":{{"Digest":"{}"}},"CVSS":{{"nvd":{{"V3Score":9.8}}}}}})",
      id, fixed_version, severity, TestDigest('7'));
}

struct TrivyReport {
  std::string schema = "2";
  std::string created_at = "2024-02-29T12:00:00Z";
  std::string artifact_type = "container_image";
  std::string artifact_name = "registry.corp/prod/app:1";
  std::string image_id = TestDigest('c');
  std::vector<std::string> repo_digests;
  std::string end_of_life = "false";
  std::vector<std::string> vulnerabilities;
  std::string results;  // instead of the one result that holds the vulnerabilities

  std::string Json() const {
    std::vector<std::string> quoted;
    for (const std::string& digest : repo_digests) quoted.push_back("\"" + digest + "\"");
    const std::string usual = fmt::format(
        R"j([{{"Target":"app (debian 12.5)","Class":"os-pkgs","Type":"debian","Vulnerabilities":[{}]}}])j",
        fmt::join(vulnerabilities, ","));
    return fmt::format(
        R"({{"SchemaVersion":{},"CreatedAt":"{}","ArtifactName":"{}","ArtifactType":"{}","Metadata":{{)"
        R"("OS":{{"Family":"debian","Name":"12.5","EOSL":{}}},"ImageID":"{}","DiffIDs":["{}"],"RepoTags":["{}"],)"
        R"("RepoDigests":[{}]}},"Results":{}}})",
        schema, created_at, artifact_name, artifact_type, end_of_life, image_id, TestDigest('9'), artifact_name,
        fmt::join(quoted, ","), results.empty() ? usual : results);
  }
};

}  // namespace bulwark::trust
