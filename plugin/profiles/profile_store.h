// Named seccomp profiles from directories on the node: "<name>.json" in the format of lib/seccomp/profile_json.h. A name
// found in a later directory replaces one of an earlier, so that a node's own profile wins over a shipped one.
//
// Load() reads and parses everything once (blocking; at most 1 MiB per file and 1024 files per directory). Afterwards
// the store is immutable: Get and List are safe from any thread and touch no file. To reload, load a second store and
// swap. A file that cannot be parsed is not served; it is listed with its error, and Get says so.
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
  std::string path;
  std::string digest;  // "sha256:…" of the file's bytes
  std::shared_ptr<const seccomp::Profile> profile;  // null if `error` is set
  std::string error;                                // why the file is not served
};

class ProfileStore {
 public:
  static std::vector<std::string> DefaultDirectories();

  // Directories that do not exist are skipped; other failures to read one are errors. Files whose name is no valid
  // profile name, and anything that is not a regular file, are ignored.
  static base::Result<ProfileStore> Load(const std::vector<std::string>& directories);

  // kNotFound if there is no such profile, kInvalidArgument if the name is not valid, kFailedPrecondition with the
  // parse error if its file is broken.
  base::Result<StoredProfile> Get(std::string_view name) const;
  // Sorted by name; broken ones included.
  std::vector<StoredProfile> List() const;

 private:
  std::map<std::string, StoredProfile, std::less<>> profiles_;
};

// 1 to 64 characters of [a-z0-9._-], starting with a letter or digit: safe as a file name.
bool IsProfileName(std::string_view name);

}  // namespace bulwark::profiles
