#include "shim/link/spool.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "lib/base/file_io.h"
#include "lib/journal/journal_format.h"

namespace bulwark::shim {
namespace {

using base::Code;
using base::Error;
using Events = std::vector<v1::LifecycleEvent>;

constexpr char kDefaultSpoolDirectory[] = "/var/lib/bulwark/spool";
constexpr size_t kSourceIdCharsMax = 64;

// It becomes part of a file name.
bool IsSourceId(const std::string& id) {
  if (id.empty() || id.size() > kSourceIdCharsMax) return false;
  for (const char c : id) {
    if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-')) {
      return false;
    }
  }
  return true;
}

// The events of an earlier spooling of the same source, if any, then those of `events` that it
// lacks.
base::Result<Events> Merge(const std::string& path, Events events) {
  auto earlier = journal::ReadJournal(path);
  if (!earlier) {
    if (earlier.error().code() == Code::kNotFound) return events;
    const bool is_unreadable = earlier.error().code() == Code::kInvalidArgument ||
                               earlier.error().code() == Code::kResourceExhausted;
    if (!is_unreadable) return std::move(earlier).error();
    // What lies there is kept for people, and does not keep back what we know.
    RETURN_IF_ERROR(journal::SetAside(path));
    return events;
  }
  // Our file would replace the records behind the damage.
  if (earlier->is_damaged) RETURN_IF_ERROR(journal::SetAside(path));
  std::set<uint64_t> known;
  for (const v1::LifecycleEvent& event : earlier->events) known.insert(event.source_seq());
  Events merged = std::move(earlier->events);
  for (v1::LifecycleEvent& event : events) {
    if (known.insert(event.source_seq()).second) merged.push_back(std::move(event));
  }
  std::stable_sort(merged.begin(), merged.end(), [](const auto& a, const auto& b) {
    return a.source_seq() < b.source_seq();
  });
  return merged;
}

base::Status SpoolSource(const std::string& source_id, Events events,
                         const std::string& directory) {
  if (!IsSourceId(source_id))
    return Error(Code::kInvalidArgument, "spool events: malformed source_id");
  const std::string path = directory + "/" + source_id + ".journal";
  ASSIGN_OR_RETURN(const Events merged, Merge(path, std::move(events)));
  std::string bytes(journal::kMagic);
  for (const v1::LifecycleEvent& event : merged) {
    ASSIGN_OR_RETURN(const std::string record, journal::EncodeRecord(event));
    bytes += record;
  }
  return base::ReplaceFile(path, bytes, 0600, /*durable=*/true);
}

// The bundle goes away with the container, so what is behind the damage is copied to where people
// look for it.
base::Status KeepDamaged(const std::string& journal_path, const journal::DecodedJournal& decoded,
                         const std::string& directory) {
  ASSIGN_OR_RETURN(const std::string bytes,
                   base::ReadFile(journal_path, journal::kJournalBytesMax));
  const std::string name = decoded.events.empty() ? fmt::format("unknown-{}", getpid())
                                                  : decoded.events.front().source_id();
  RETURN_IF_ERROR(base::MakeDirectories(directory, 0700));
  return base::ReplaceFile(fmt::format("{}/{}.bundle.bad", directory, name), bytes, 0600,
                           /*durable=*/true);
}

}  // namespace

std::string SpoolDirectoryFromEnvironment() {
  const char* value = getenv("BULWARK_SPOOL_DIR");
  return value != nullptr && *value != '\0' ? value : kDefaultSpoolDirectory;
}

base::Status SpoolEvents(const Events& events, const std::string& directory) {
  if (events.empty()) return base::OkStatus();
  RETURN_IF_ERROR(base::MakeDirectories(directory, 0700));
  std::map<std::string, Events> by_source;
  for (const v1::LifecycleEvent& event : events) by_source[event.source_id()].push_back(event);
  base::Status outcome;
  for (auto& [source_id, of_source] : by_source) {
    // One source that cannot be written does not keep the others back.
    auto spooled = SpoolSource(source_id, std::move(of_source), directory);
    if (!spooled && outcome) outcome = std::move(spooled);
  }
  return outcome;
}

base::Status SpoolJournal(const std::string& journal_path, const std::string& directory) {
  auto decoded = journal::ReadJournal(journal_path);
  if (!decoded) {
    if (decoded.error().code() == Code::kNotFound) return base::OkStatus();
    return std::move(decoded).error();
  }
  RETURN_IF_ERROR(SpoolEvents(decoded->events, directory));
  if (decoded->is_damaged) RETURN_IF_ERROR(KeepDamaged(journal_path, *decoded, directory));
  if (unlink(journal_path.c_str()) != 0 && errno != ENOENT) {
    return Error::FromErrno("remove journal {}", journal_path);
  }
  return base::OkStatus();
}

}  // namespace bulwark::shim
