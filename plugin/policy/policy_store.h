// The policy directory, read into memory: the one part of plugin/policy that touches files. Keeps the last good set, so
// that a broken edit never opens or closes the node by accident.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "lib/base/result.h"
#include "plugin/policy/policy_parser.h"
#include "plugin/policy/policy_set.h"

namespace bulwark::policy {

class PolicyStore {
 public:
  // Reads nothing yet: until the first good Reload, Current() denies everything. `directory` holds the *.yaml files.
  explicit PolicyStore(std::string directory, KeyCheck check_key = {});

  // Reads the directory and all key files again and swaps the set whole. Blocks on local files. On any error the last
  // good set stays, and last_error() tells. Errors: kNotFound (no directory), kPermissionDenied (a file or the directory
  // is owned by somebody other than root or ourselves, or others may write to it), kResourceExhausted (too many or too
  // large), kInvalidArgument (the text; starts with file:line:column). Thread-safe.
  base::Status Reload();

  // The active set; never null. Thread-safe.
  std::shared_ptr<const PolicySet> Current() const;

  // Why the newest state of the directory is not active; empty if it is. Thread-safe.
  std::string last_error() const;

  const std::string& directory() const { return directory_; }

 private:
  base::Result<std::shared_ptr<const PolicySet>> Load() const;

  const std::string directory_;
  const KeyCheck check_key_;
  std::mutex reload_mutex_;  // one reload at a time
  mutable std::mutex mutex_;
  std::shared_ptr<const PolicySet> current_;  // guarded by mutex_
  std::string last_error_;                    // guarded by mutex_
};

// The files a policy set is made of, read with the checks above: `path` itself, or what in the directory `path` ends in
// .yaml or .yml and is not hidden, in the order of their names. Shared with `bulwarkctl policy check`, which passes check_ownership = false: there a user checks files of their own.
base::Result<std::vector<PolicyFile>> ReadPolicyFiles(const std::string& path, bool check_ownership);

// A KeyReader over the file system, with the same ownership check.
KeyReader FileKeyReader(bool check_ownership);

}  // namespace bulwark::policy
