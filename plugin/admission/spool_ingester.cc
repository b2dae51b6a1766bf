#include "plugin/admission/spool_ingester.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/file_io.h"
#include "lib/base/logging.h"
#include "lib/journal/journal_format.h"

namespace bulwark::admission {
namespace {

constexpr size_t kJournalsMax = 100'000;
constexpr size_t kEventsPerReport = 256;
constexpr std::string_view kSuffix = ".journal";

using EventKey = std::pair<std::string_view, uint64_t>;

EventKey KeyOf(const v1::LifecycleEvent& event) { return {event.source_id(), event.source_seq()}; }

bool ComesBefore(const v1::LifecycleEvent& a, const v1::LifecycleEvent& b) { return KeyOf(a) < KeyOf(b); }

bool IsSameEvent(const v1::LifecycleEvent& a, const v1::LifecycleEvent& b) { return KeyOf(a) == KeyOf(b); }

}  // namespace

SpoolIngester::SpoolIngester(std::string directory, LifecycleRecorder& lifecycle)
    : directory_(std::move(directory)), lifecycle_(lifecycle) {}

SpoolIngester::~SpoolIngester() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void SpoolIngester::Start(int interval_ms) {
  thread_ = std::thread([this, interval_ms] {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, std::chrono::milliseconds(interval_ms), [this] { return ending_; })) {
      lock.unlock();
      if (auto taken = IngestOnce(); !taken) {
        base::LogWarn("reading the spool failed", {{"directory", directory_}, {"error", taken.error().message()}});
      }
      lock.lock();
    }
  });
}

base::Result<size_t> SpoolIngester::IngestOnce() {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, base::ListDirectory(directory_, kJournalsMax));
  size_t taken = 0;
  for (const std::string& name : names) {
    if (!name.ends_with(kSuffix)) continue;
    const std::string path = directory_ + "/" + name;
    auto events = IngestFile(path);
    if (events) {
      taken += *events;
    } else {
      base::LogError("a spooled journal was not taken in and stays for the next pass",
                     {{"path", path}, {"error", events.error().message()}});
    }
  }
  if (taken > 0) base::LogInfo("spooled events recorded", {{"events", std::to_string(taken)}});
  return taken;
}

base::Result<size_t> SpoolIngester::IngestFile(const std::string& path) {
  auto read = journal::ReadJournal(path);
  if (!read) {
    const base::Code code = read.error().code();
    if (code != base::Code::kInvalidArgument && code != base::Code::kResourceExhausted) return std::move(read).error();
    SetAside(path, read.error().message());
    return 0;
  }
  journal::DecodedJournal journal = std::move(read).value();
  // A journal that was extended by an older one is out of order, which a report may not be.
  std::stable_sort(journal.events.begin(), journal.events.end(), ComesBefore);
  journal.events.erase(std::unique(journal.events.begin(), journal.events.end(), IsSameEvent), journal.events.end());
  if (auto recorded = RecordAll(journal.events); !recorded) {
    if (recorded.error().code() != base::Code::kInvalidArgument) return std::move(recorded).error();
    SetAside(path, recorded.error().message());
    return 0;
  }
  if (journal.is_damaged) {
    SetAside(path, fmt::format("damaged at byte {}, {} bytes are left", journal.valid_bytes, journal.torn_bytes));
    return journal.events.size();
  }
  if (journal.torn_bytes > 0) {
    base::LogWarn("a spooled journal ends torn", {{"path", path}, {"bytes", std::to_string(journal.torn_bytes)}});
  }
  if (unlink(path.c_str()) != 0) return base::Error::FromErrno("remove {}", path);
  return journal.events.size();
}

void SpoolIngester::SetAside(const std::string& path, std::string_view why) {
  auto aside = journal::SetAside(path);
  base::LogError("a spooled journal cannot be read whole and was set aside",
                 {{"path", aside ? *aside : path}, {"error", why}});
  if (!aside) base::LogError("setting a journal aside failed", {{"error", aside.error().message()}});
}

base::Status SpoolIngester::RecordAll(const std::vector<v1::LifecycleEvent>& events) {
  for (size_t first = 0; first < events.size(); first += kEventsPerReport) {
    const size_t last = std::min(events.size(), first + kEventsPerReport);
    auto done = std::make_shared<std::promise<base::Result<uint64_t>>>();
    auto recorded = done->get_future();
    lifecycle_.Record({events.begin() + static_cast<ptrdiff_t>(first), events.begin() + static_cast<ptrdiff_t>(last)},
                      [done](base::Result<uint64_t> result) { done->set_value(std::move(result)); });
    RETURN_IF_ERROR(recorded.get());
  }
  return base::OkStatus();
}

}  // namespace bulwark::admission
