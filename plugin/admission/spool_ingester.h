// Takes in the journals that shims leave in the spool directory when the daemon is away: at start, and every few seconds
// after. A journal is removed once its events are durable. One that cannot be read, is larger than a journal may be, or
// is damaged before its end is set aside as "<name>.bad" once what could be read is durable, so that nothing is lost
// silently and nothing is tried for ever. Trouble with one journal is logged and does not keep the next one back.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "lib/base/result.h"
#include "plugin/admission/lifecycle_recorder.h"

namespace bulwark::admission {

class SpoolIngester {
 public:
  // `lifecycle` is not owned and outlives this.
  SpoolIngester(std::string directory, LifecycleRecorder& lifecycle);
  ~SpoolIngester();

  // One pass; blocks until what was found is durable. Returns how many events were taken in. An error only if the
  // directory cannot be read. One thread at a time, so not after Start().
  base::Result<size_t> IngestOnce();
  // Passes every `interval_ms` on a thread of its own, until destruction.
  void Start(int interval_ms);

 private:
  base::Result<size_t> IngestFile(const std::string& path);
  void SetAside(const std::string& path, std::string_view why);
  base::Status RecordAll(const std::vector<v1::LifecycleEvent>& events);

  const std::string directory_;
  LifecycleRecorder& lifecycle_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ending_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace bulwark::admission
