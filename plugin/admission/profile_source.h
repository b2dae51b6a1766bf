// The profiles in force: a store that is swapped whole on reload. Thread-safe.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/result.h"
#include "plugin/profiles/profile_store.h"

namespace bulwark::admission {

class ProfileSource {
 public:
  explicit ProfileSource(std::vector<std::string> directories) : directories_(std::move(directories)) {}

  // Reads the directories; if one cannot be read, the last good store stays. kFailedPrecondition if files are broken,
  // with "path: error; path: error": the others are in force then, and the last good profile of each broken one's name.
  // One reload at a time.
  base::Status Reload() {
    const auto previous = Current();
    ASSIGN_OR_RETURN(profiles::ProfileStore store, profiles::ProfileStore::Load(directories_, previous.get()));
    std::string broken;
    for (const profiles::StoredProfile& profile : store.List()) {
      if (profile.error.empty()) continue;
      broken += fmt::format("{}{}: {}", broken.empty() ? "" : "; ", profile.error_path, profile.error);
    }
    {
      const std::lock_guard lock(mutex_);
      current_ = std::make_shared<const profiles::ProfileStore>(std::move(store));
    }
    if (!broken.empty()) return base::Error(base::Code::kFailedPrecondition, std::move(broken));
    return base::OkStatus();
  }

  // Never null.
  std::shared_ptr<const profiles::ProfileStore> Current() const {
    const std::lock_guard lock(mutex_);
    return current_;
  }

 private:
  const std::vector<std::string> directories_;
  mutable std::mutex mutex_;
  std::shared_ptr<const profiles::ProfileStore> current_ = std::make_shared<const profiles::ProfileStore>();  // by mutex_
};

}  // namespace bulwark::admission
