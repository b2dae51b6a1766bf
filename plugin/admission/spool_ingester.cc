#include "plugin/admission/spool_ingester.h"

#include <stdio.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <memory>
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
    } else if (events.error().code() == base::Code::kInvalidArgument) {
      base::LogError("a spooled journal cannot be read and was set aside",
                     {{"path", path + ".bad"}, {"error", events.error().message()}});
      rename(path.c_str(), (path + ".bad").c_str());
    } else {
      return std::move(events).error();
    }
  }
  if (taken > 0) base::LogInfo("spooled events recorded", {{"events", std::to_string(taken)}});
  return taken;
}

base::Result<size_t> SpoolIngester::IngestFile(const std::string& path) {
  ASSIGN_OR_RETURN(const journal::DecodedJournal journal, journal::ReadJournal(path));
  RETURN_IF_ERROR(RecordAll(journal.events));
  if (journal.torn_bytes > 0) {
    base::LogWarn("a spooled journal ends torn", {{"path", path}, {"bytes", std::to_string(journal.torn_bytes)}});
  }
  if (unlink(path.c_str()) != 0) return base::Error::FromErrno("remove {}", path);
  return journal.events.size();
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
