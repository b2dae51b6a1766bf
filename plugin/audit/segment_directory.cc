#include "plugin/audit/segment_directory.h"

#include <algorithm>
#include <tuple>

#include "lib/base/file_io.h"
#include "lib/base/hex.h"
#include "lib/base/random.h"

namespace bulwark::audit {
namespace {

using base::Code;
using base::Error;
using base::Result;

constexpr size_t kFilesMax = 1 << 20;

// 32 hex digits; dashes (as in a UUID) and newlines are skipped.
Result<Id128> ParseId(std::string text, std::string_view what) {
  text.erase(std::remove_if(text.begin(), text.end(), [](char c) { return c == '-' || c == '\n'; }),
             text.end());
  auto bytes = base::HexDecode(text);
  Id128 id;
  if (!bytes || bytes->size() != id.size()) {
    return Error::Make(Code::kInvalidArgument, "read {}: not 32 hex digits", what);
  }
  std::copy(bytes->begin(), bytes->end(), id.begin());
  return id;
}

}  // namespace

Result<std::vector<SegmentName>> ListSegments(const std::string& directory) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, base::ListDirectory(directory, kFilesMax));
  std::vector<SegmentName> segments;
  for (const std::string& name : names) {
    if (auto parsed = ParseSegmentFileName(name)) segments.push_back(*std::move(parsed));
  }
  std::sort(segments.begin(), segments.end(), [](const SegmentName& a, const SegmentName& b) {
    return std::tie(a.epoch_ordinal, a.first_sequence) <
           std::tie(b.epoch_ordinal, b.first_sequence);
  });
  return segments;
}

Id128 RandomId() {
  Id128 id;
  const std::string bytes = base::RandomBytes(id.size());
  std::copy(bytes.begin(), bytes.end(), id.begin());
  return id;
}

Result<Id128> LoadOrCreateNodeId(const std::string& path) {
  auto text = base::ReadFile(path, 128);
  if (text) return ParseId(*std::move(text), path);
  if (text.error().code() != Code::kNotFound) return std::move(text).error();
  const Id128 id = RandomId();
  const std::string_view bytes(reinterpret_cast<const char*>(id.data()), id.size());
  RETURN_IF_ERROR(base::ReplaceFile(path, base::HexEncode(bytes) + "\n", 0600, true));
  return id;
}

Result<Id128> BootId() {
  static constexpr char kPath[] = "/proc/sys/kernel/random/boot_id";
  ASSIGN_OR_RETURN(std::string text, base::ReadPseudoFile(kPath, 128));
  return ParseId(std::move(text), kPath);
}

}  // namespace bulwark::audit
