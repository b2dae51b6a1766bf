#include "lib/oci/reference_pattern.h"

#include <algorithm>
#include <tuple>

#include "lib/oci/digest.h"
#include "lib/oci/reference_grammar.h"

namespace bulwark::oci {

using base::Code;
using base::Error;

namespace {

constexpr size_t kTextMax = 512;
constexpr size_t kSegmentsMax = 32;
constexpr int kDoubleStarsMax = 4;

bool HasStar(std::string_view text) { return text.find('*') != std::string_view::npos; }

// Whether two texts with `*` have a match in common; a text without `*` is its own only match. One row of the table
// per character of a: row[j] says whether a's suffix and b's suffix from j can be equal.
bool GlobsOverlap(std::string_view a, std::string_view b) {
  std::vector<char> row(b.size() + 1, 0);
  row[b.size()] = 1;
  for (size_t j = b.size(); j > 0 && b[j - 1] == '*'; --j) row[j - 1] = 1;
  for (size_t i = a.size(); i > 0; --i) {
    std::vector<char> next(b.size() + 1, 0);
    const char c = a[i - 1];
    next[b.size()] = c == '*' ? row[b.size()] : 0;
    for (size_t j = b.size(); j > 0; --j) {
      const char d = b[j - 1];
      if (c == '*' || d == '*') {
        next[j - 1] = (c == '*' && (row[j - 1] || next[j])) || (d == '*' && (row[j - 1] || next[j]));
      } else {
        next[j - 1] = c == d && row[j];
      }
    }
    row = std::move(next);
  }
  return row[0] != 0;
}

// The same over segments, where `**` stands for one or more. Called with at most kSegmentsMax segments and
// kDoubleStarsMax times `**` on each side.
class SegmentOverlap {
 public:
  SegmentOverlap(const std::vector<std::string>& a, const std::vector<std::string>& b)
      : a_(a), b_(b), seen_((a.size() + 1) * (b.size() + 1) * 4, 0) {}

  bool Run() { return From(0, 0, false, false); }

 private:
  // `in_a`: the `**` before a_[i] has taken a segment already and may take more; likewise `in_b`.
  bool From(size_t i, size_t j, bool in_a, bool in_b) {
    char& seen = seen_[((i * (b_.size() + 1) + j) * 2 + in_a) * 2 + in_b];
    if (seen) return false;
    seen = 1;
    if (i == a_.size() && j == b_.size()) return true;
    // One segment of a common path: who takes it on each side.
    for (const bool extend_a : {false, true}) {
      for (const bool extend_b : {false, true}) {
        if (extend_a ? !in_a : i == a_.size()) continue;
        if (extend_b ? !in_b : j == b_.size()) continue;
        const bool star_a = extend_a || a_[i] == "**";
        const bool star_b = extend_b || b_[j] == "**";
        if (!star_a && !star_b && !GlobsOverlap(a_[i], b_[j])) continue;
        if (From(i + !extend_a, j + !extend_b, star_a, star_b)) return true;
      }
    }
    return false;
  }

  const std::vector<std::string>& a_;
  const std::vector<std::string>& b_;
  std::vector<char> seen_;
};

std::vector<std::string> SplitSegments(std::string_view path) {
  std::vector<std::string> segments;
  while (true) {
    const size_t slash = path.find('/');
    segments.emplace_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return segments;
    path.remove_prefix(slash + 1);
  }
}

// With every `*` replaced by a letter the rest must fit the grammar; `*` itself stands for anything there.
bool IsSegmentPattern(std::string_view segment) {
  if (segment == "*" || segment == "**") return true;
  if (segment.find("**") != std::string_view::npos) return false;
  if (!HasStar(segment)) return IsPathSegment(segment);
  return std::all_of(segment.begin(), segment.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-' ||
           c == '*';
  });
}

bool IsTagPattern(std::string_view tag) {
  std::string plain(tag);
  std::replace(plain.begin(), plain.end(), '*', 'a');
  return IsTag(plain) && tag.find("**") == std::string_view::npos;
}

// Literal before wildcard (more literal characters first) before `*`, before the pattern's end, before `**`.
constexpr int kRankEnd = 1;
int SegmentRank(std::string_view segment) {
  if (segment == "**") return 0;
  if (!HasStar(segment)) return 1'000'000;
  return 2 + static_cast<int>(segment.size() - static_cast<size_t>(std::count(
                                                   segment.begin(), segment.end(), '*')));
}

Error Malformed(std::string_view text, std::string_view why) {
  return Error::Make(Code::kInvalidArgument, "image pattern \"{}\": {}", text.substr(0, 100), why);
}

}  // namespace

base::Result<ReferencePattern> ReferencePattern::Parse(std::string_view text) {
  if (text.empty() || text.size() > kTextMax) return Malformed(text, "empty or too long");
  ReferencePattern pattern;
  if (IsDigest(text)) {
    pattern.digest_ = pattern.text_ = text;
    return pattern;
  }
  if (text == "*") return Malformed(text, "ambiguous; write \"*/**\" for every image");
  std::string_view rest = text == "**" ? std::string_view("*/**") : text;
  if (const size_t at = rest.find('@'); at != std::string_view::npos) {
    pattern.digest_ = rest.substr(at + 1);
    if (!IsDigest(pattern.digest_)) return Malformed(text, "malformed digest");
    rest = rest.substr(0, at);
  }
  const size_t colon = rest.rfind(':');
  const size_t slash = rest.rfind('/');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
    pattern.tag_ = rest.substr(colon + 1);
    if (!IsTagPattern(pattern.tag_)) return Malformed(text, "malformed tag");
    rest = rest.substr(0, colon);
  }
  std::string path;
  if (rest.substr(0, 2) == "*/") {
    pattern.host_ = "*";
    path = rest.substr(2);
  } else {
    if (HasStar(rest.substr(0, rest.find('/')))) {
      return Malformed(text, "a host is literal or exactly \"*\"");
    }
    std::tie(pattern.host_, path) = SplitHost(rest);
    // "docker.io/**" means all of Docker Hub; only a single name there is below library/.
    if (path == "library/**" && rest.find("library/") == std::string_view::npos) path = "**";
    if (!IsHost(pattern.host_)) return Malformed(text, "invalid host");
  }
  pattern.segments_ = SplitSegments(path);
  if (pattern.segments_.size() > kSegmentsMax ||
      std::count(pattern.segments_.begin(), pattern.segments_.end(), "**") > kDoubleStarsMax) {
    return Malformed(text, "too many segments");
  }
  for (const std::string& segment : pattern.segments_) {
    if (!IsSegmentPattern(segment)) return Malformed(text, "malformed path segment");
  }
  pattern.text_ = pattern.host_ + "/" + path;
  if (!pattern.tag_.empty()) pattern.text_ += ":" + pattern.tag_;
  if (!pattern.digest_.empty()) pattern.text_ += "@" + pattern.digest_;
  return pattern;
}

bool ReferencePattern::Matches(const ImageReference* reference,
                               const std::vector<std::string>& digests) const {
  if (!digest_.empty() && std::find(digests.begin(), digests.end(), digest_) == digests.end()) {
    return false;
  }
  if (host_.empty()) return true;  // only a digest
  if (reference == nullptr) return false;
  if (host_ != "*" && host_ != reference->host) return false;
  if (!tag_.empty() && (reference->tag.empty() || !GlobsOverlap(tag_, reference->tag))) return false;
  return SegmentOverlap(segments_, SplitSegments(reference->path)).Run();
}

std::vector<int> ReferencePattern::Rank() const {
  if (host_.empty()) return {1};
  std::vector<int> rank = {0, host_ == "*" ? 0 : 1};
  for (size_t i = 0; i < kSegmentsMax; ++i) {
    rank.push_back(i < segments_.size() ? SegmentRank(segments_[i]) : kRankEnd);
  }
  rank.push_back(digest_.empty() ? 0 : 1);
  rank.push_back(tag_.empty() ? 0 : SegmentRank(tag_));
  return rank;
}

int ReferencePattern::CompareSpecificity(const ReferencePattern& a, const ReferencePattern& b) {
  const std::vector<int> rank_a = a.Rank();
  const std::vector<int> rank_b = b.Rank();
  if (rank_a == rank_b) return 0;
  return rank_a < rank_b ? -1 : 1;
}

bool ReferencePattern::MayOverlap(const ReferencePattern& a, const ReferencePattern& b) {
  if (!a.digest_.empty() && !b.digest_.empty() && a.digest_ != b.digest_) return false;
  if (a.host_.empty() || b.host_.empty()) return true;
  if (a.host_ != "*" && b.host_ != "*" && a.host_ != b.host_) return false;
  if (!a.tag_.empty() && !b.tag_.empty() && !GlobsOverlap(a.tag_, b.tag_)) return false;
  return SegmentOverlap(a.segments_, b.segments_).Run();
}

}  // namespace bulwark::oci
