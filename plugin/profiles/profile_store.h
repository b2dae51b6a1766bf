// Named seccomp profiles from directories on the node: "<name>.json" in the format of lib/seccomp/profile_json.h. A name
// found in a later directory replaces one of an earlier, so that a node's own profile wins over a shipped one.
//
// Load() reads and parses everything once (blocking; at most 1 MiB per file and 1024 files per directory). Afterwards
// the store is immutable: Get and List are safe from any thread and touch no file. To reload, load a second store and
// swap. A file that cannot be parsed is not served: the profile of that name that was served before stays, if there is
// one. It is listed with its error in any case, and Get says so if there is nothing to serve.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "lib/seccomp/profile.h"

namespace bulwark::profiles {

struct StoredProfile {
  std::string name;
  std::string path;    // of what is served
  std::string digest;  // "sha256:…" of the bytes of what is served
  std::shared_ptr<const seccomp::Profile> profile;  // null if there is nothing to serve under this name
  std::string error_path;                           // the file that should be served and cannot be
  std::string error;                                // why; empty if it is
};

class ProfileStore {
 public:
  static std::vector<std::string> DefaultDirectories();

  // Directories that do not exist are skipped; other failures to read one are errors. Files whose name is no valid
  // profile name, and anything that is not a regular file, are ignored.
  // Where a file is broken, what `previous` (may be null) serves under its name is served on.
  static base::Result<ProfileStore> Load(const std::vector<std::string>& directories,
                                         const ProfileStore* previous = nullptr);

  // kNotFound if there is no such profile, kInvalidArgument if the name is not valid, kFailedPrecondition with the
  // parse error if its file is broken and no earlier one was good.
  base::Result<StoredProfile> Get(std::string_view name) const;
  // Sorted by name; broken ones included.
  std::vector<StoredProfile> List() const;

 private:
  std::map<std::string, StoredProfile, std::less<>> profiles_;
};

// 1 to 64 characters of [a-z0-9._-], starting with a letter or digit: safe as a file name.
bool IsProfileName(std::string_view name);

}  // namespace bulwark::profiles
