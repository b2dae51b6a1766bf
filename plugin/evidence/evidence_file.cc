#include "plugin/evidence/evidence_file.h"

#include <memory>
#include <string_view>
#include <utility>

#include "lib/base/file_io.h"
#include "lib/oci/digest.h"
#include "lib/oci/image_reference.h"
#include "plugin/trust/signature_image.h"
#include "plugin/trust/simple_signing.h"

namespace bulwark::evidence {
namespace {

using base::Code;
using base::Error;

constexpr std::string_view kRefName = "org.opencontainers.image.ref.name";
constexpr std::string_view kSavedKind = "dev.cosignproject.cosign/";
constexpr size_t kMentionsPerFileMax = 4096;
constexpr size_t kManifestsMax = 4096;

// Every digest that is written somewhere in a file that is not parsed: enough to tell whose evidence it claims to be.
std::set<std::string> MentionedDigests(std::string_view bytes) {
  std::set<std::string> mentioned;
  constexpr size_t kLength = 7 + 64;
  for (size_t at = bytes.find("sha256:"); at != std::string_view::npos && mentioned.size() < kMentionsPerFileMax;
       at = bytes.find("sha256:", at + 1)) {
    if (oci::IsDigest(bytes.substr(at, kLength))) mentioned.emplace(bytes.substr(at, kLength));
  }
  return mentioned;
}

// "sha256-<hex>" and the suffix, also behind a repository ("reg/app:sha256-<hex>.sig"), give "sha256:<hex>"; else empty.
std::string DigestOfTag(std::string_view name, std::string_view suffix) {
  if (const size_t colon = name.rfind(':'); colon != std::string_view::npos) name.remove_prefix(colon + 1);
  if (!name.ends_with(suffix)) return {};
  name.remove_suffix(suffix.size());
  const size_t dash = name.find('-');
  if (dash == std::string_view::npos) return {};
  std::string digest = fmt::format("{}:{}", name.substr(0, dash), name.substr(dash + 1));
  return oci::IsDigest(digest) ? digest : std::string();
}

base::Result<std::string> ReadDocument(const Layout& layout, const oci::Descriptor& entry) {
  ASSIGN_OR_RETURN(std::string bytes, layout.ReadBlob(entry.digest, oci::kManifestBytesMax));
  if (static_cast<int64_t>(bytes.size()) != entry.size) {
    return Error::Make(Code::kDataLoss, "{} is not as large as its descriptor says", entry.digest);
  }
  return bytes;
}

class SignatureReader {
 public:
  explicit SignatureReader(const Layout& layout) : layout_(layout) {}

  LayoutSignatures Run() {
    for (const oci::Descriptor& entry : layout_.index().manifests) {
      const std::string_view kind = entry.Annotation("kind");
      if (kind.starts_with(kSavedKind) && !kind.ends_with("/sigs")) saved_images_.insert(entry.digest);
    }
    for (const oci::Descriptor& entry : layout_.index().manifests) ReadEntry(entry);
    return std::move(result_);
  }

 private:
  void ReadEntry(const oci::Descriptor& entry) {
    const std::string_view name = entry.Annotation(kRefName);
    if (oci::IsManifestType(entry.media_type)) {
      SignatureImage image;
      image.source = fmt::format("{} {}", layout_.path(), name.empty() ? entry.digest : std::string(name));
      if (std::string tagged = DigestOfTag(name, ".sig"); !tagged.empty()) image.digests.insert(std::move(tagged));
      // `cosign save` writes one image and its signatures, without a tag that says so.
      if (entry.Annotation("kind") == "dev.cosignproject.cosign/sigs") {
        image.digests.insert(saved_images_.begin(), saved_images_.end());
      }
      ReadManifest(entry, std::move(image));
      return;
    }
    const std::string subject = DigestOfTag(name, "");
    if (subject.empty() || !oci::IsIndexType(entry.media_type)) return;
    const auto bytes = ReadDocument(layout_, entry);
    const auto referrers = bytes ? oci::ParseIndex(*bytes, entry.media_type) : bytes.error();
    if (!referrers) {
      result_.problems.push_back({fmt::format("{} {}", layout_.path(), name), referrers.error().message()});
      result_.is_complete = false;
      return;
    }
    for (const oci::Descriptor& referrer : referrers->manifests) {
      if (!oci::IsManifestType(referrer.media_type)) continue;
      ReadManifest(referrer, {fmt::format("{} {} {}", layout_.path(), name, referrer.digest), {subject}, {}});
    }
  }

  void ReadManifest(const oci::Descriptor& entry, SignatureImage image) {
    if (manifests_ == kManifestsMax) {
      result_.is_cut = true;
      return;
    }
    ++manifests_;
    const auto bytes = ReadDocument(layout_, entry);
    if (bytes) {
      CollectFrom(*bytes, image);
    } else {
      if (!image.digests.empty()) image.found.problems.push_back({image.source, bytes.error().message()});
      // A signature image too large to be read is a flood, as it is where its layers can still be counted.
      image.found.is_cut = bytes.error().code() == Code::kResourceExhausted;
    }
    if (!bytes || !image.found.problems.empty()) result_.is_complete = false;
    // Whatever is no signature image and did not claim to be one is none of our business here.
    if (image.found.candidates.empty() && image.digests.empty()) return;
    for (const trust::SignatureProblem& problem : image.found.problems) {
      result_.problems.push_back({problem.source, problem.problem});
    }
    if (!image.found.candidates.empty() || !image.found.problems.empty()) result_.images.push_back(std::move(image));
  }

  void CollectFrom(const std::string& bytes, SignatureImage& image) {
    if (const auto manifest = oci::ParseManifest(bytes); manifest && manifest->subject) {
      image.digests.insert(manifest->subject->digest);
    }
    const trust::BlobReader read = [&](const std::string& digest, size_t max_bytes) -> base::Result<std::string> {
      if (result_.bytes >= kLayoutSignatureBytesMax) {
        result_.is_cut = true;
        return Error::Make(Code::kResourceExhausted, "layout holds more than {} MiB of signatures",
                           kLayoutSignatureBytesMax >> 20);
      }
      ASSIGN_OR_RETURN(std::string payload, layout_.ReadBlob(digest, max_bytes));
      result_.bytes += payload.size();
      return payload;
    };
    trust::CollectSignatures(bytes, image.source, read, image.found);
    for (const trust::SignatureCandidate& candidate : image.found.candidates) {
      if (auto payload = trust::ParseSimpleSigning(candidate.payload)) image.digests.insert(payload->manifest_digest);
      result_.bytes += candidate.signature_base64.size();
    }
  }

  const Layout& layout_;
  std::set<std::string> saved_images_;
  size_t manifests_ = 0;
  LayoutSignatures result_;
};

int64_t Nanos(const struct timespec& time) { return time.tv_sec * 1'000'000'000 + time.tv_nsec; }

}  // namespace

FileStamp FileStamp::Of(const struct stat& facts) {
  return {facts.st_dev, facts.st_ino, facts.st_size, Nanos(facts.st_mtim), Nanos(facts.st_ctim)};
}

ReportFile ReadReport(const base::UniqueFd& file, const std::string& path, bool is_trusted) {
  ReportFile read;
  read.candidate.source = path;
  read.candidate.is_trusted_source = is_trusted;
  const auto bytes = base::ReadAll(file.get(), trust::kReportBytesMax);
  if (!bytes) {
    read.candidate.problem = bytes.error().message();
    return read;
  }
  read.bytes = bytes->size();
  read.candidate.digest = oci::Sha256Digest(*bytes);
  base::Result<trust::ScanReport> report =
      Error(Code::kPermissionDenied, "others than root can write the file or a directory above it: not read as a report");
  if (is_trusted) report = trust::ParseTrivyReport(*bytes);
  if (!report) {
    read.candidate.problem = report.error().message();
    read.keys = MentionedDigests(*bytes);
    return read;
  }
  read.keys.insert(report->config_digest);
  read.keys.insert(report->repo_digests.begin(), report->repo_digests.end());
  for (const std::string& name : report->names) {
    if (auto reference = oci::ImageReference::Parse(name)) read.keys.insert(reference->Canonical());
  }
  read.candidate.report = std::make_shared<const trust::ScanReport>(std::move(report).value());
  return read;
}

LayoutSignatures ReadSignatures(const Layout& layout) { return SignatureReader(layout).Run(); }

}  // namespace bulwark::evidence
