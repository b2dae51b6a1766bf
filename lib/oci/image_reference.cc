#include "lib/oci/image_reference.h"

#include "lib/oci/digest.h"
#include "lib/oci/reference_grammar.h"

namespace bulwark::oci {

using base::Code;
using base::Error;

namespace {

Error Malformed(std::string_view text, std::string_view why) {
  return Error::Make(Code::kInvalidArgument, "image reference \"{}\": {}", text.substr(0, 300),
                     why);
}

base::Status CheckPath(std::string_view text, std::string_view path) {
  while (true) {
    const size_t slash = path.find('/');
    if (!IsPathSegment(path.substr(0, slash))) return Malformed(text, "invalid repository path");
    if (slash == std::string_view::npos) return base::OkStatus();
    path.remove_prefix(slash + 1);
  }
}

}  // namespace

base::Result<ImageReference> ImageReference::Parse(std::string_view text) {
  // Name (255), tag (128), digest (sha512: 135) and separators.
  if (text.empty() || text.size() > 520) return Malformed(text, "empty or too long");
  ImageReference reference;
  std::string_view rest = text;
  if (const size_t at = rest.find('@'); at != std::string_view::npos) {
    reference.digest = rest.substr(at + 1);
    if (!IsDigest(reference.digest)) return Malformed(text, "malformed digest");
    rest = rest.substr(0, at);
  }
  const size_t colon = rest.rfind(':');
  const size_t slash = rest.rfind('/');
  // A colon before the last slash is a port's. "host:5000" alone is a repository and a tag, as Docker has it.
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
    reference.tag = rest.substr(colon + 1);
    if (!IsTag(reference.tag)) return Malformed(text, "malformed tag");
    rest = rest.substr(0, colon);
  }
  if (rest.size() == 64 && IsDigest("sha256:" + std::string(rest))) {
    return Malformed(text, "is a bare image ID");
  }
  auto [host, path] = SplitHost(rest);
  if (!IsHost(host)) return Malformed(text, "invalid host");
  RETURN_IF_ERROR(CheckPath(text, path));
  if (host.size() + 1 + path.size() > 255) return Malformed(text, "name longer than 255 bytes");
  reference.host = std::move(host);
  reference.path = std::move(path);
  if (reference.tag.empty() && reference.digest.empty()) reference.tag = "latest";
  return reference;
}

std::string ImageReference::Repository() const { return host + "/" + path; }

std::string ImageReference::Canonical() const {
  std::string text = Repository();
  if (!tag.empty()) text += ":" + tag;
  if (!digest.empty()) text += "@" + digest;
  return text;
}

}  // namespace bulwark::oci
