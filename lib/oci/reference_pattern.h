// Patterns over canonical image references, for policy rules.
//
//   registry.corp/prod/**         every repository below prod, any tag
//   registry.corp/prod/*:v*       one segment below prod, tags starting with v
//   docker.io/library/nginx       that repository, any tag
//   nginx:1.25                    the same host rules as in references: docker.io/library/nginx:1.25
//   registry.corp/a@sha256:…      that repository and that content
//   sha256:…                      that content under any name, or none
//   */tools/*                     any host
//   */**  or  **                  everything that has a name
//
// `*` stands for any run of characters (also none) within one path segment or the tag; `**` is a whole segment and
// stands for one or more segments. The host is literal or exactly `*`; a port is part of it. A digest is compared with
// the digests the content really has, never with one written in the reference.
//
// Specificity, most significant first: a digest under any name; a literal host before `*`; then path segments from the
// left, where a literal comes before a wildcard (more literal characters first), before `*`, before the end of the
// pattern, before `**`; then a digest before a literal tag, before a wildcard tag (more literal characters first),
// before no tag. Two patterns of equal rank that can match the same image are a mistake in the policy: MayOverlap()
// lets its loader say so. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "lib/oci/image_reference.h"

namespace bulwark::oci {

class ReferencePattern {
 public:
  // kInvalidArgument for text outside the grammar above, more than 512 bytes, 32 segments or 4 times `**`.
  static base::Result<ReferencePattern> Parse(std::string_view text);

  // `reference` may be null (content without a name); `digests` are those of the resolved content (index, manifest).
  bool Matches(const ImageReference* reference, const std::vector<std::string>& digests) const;

  // Negative: a is less specific than b; positive: more specific; 0: equal rank.
  static int CompareSpecificity(const ReferencePattern& a, const ReferencePattern& b);
  // Whether some image could match both. Exact for names and tags; digests of one image may differ in kind (index and
  // manifest), so two different digests under overlapping names count as overlapping only if they are equal.
  static bool MayOverlap(const ReferencePattern& a, const ReferencePattern& b);

  // Canonical text: equal for patterns that are the same after normalisation.
  const std::string& text() const { return text_; }

 private:
  ReferencePattern() = default;
  std::vector<int> Rank() const;

  std::string text_;
  std::string host_;  // empty for a pattern that is only a digest; "*" for any
  std::vector<std::string> segments_;
  std::string tag_;     // may hold `*`; empty: any
  std::string digest_;  // empty: any
};

}  // namespace bulwark::oci
