#include "plugin/profiles/profile_store.h"

#include <algorithm>

#include "lib/base/file_io.h"
#include "lib/oci/digest.h"
#include "lib/seccomp/compiler.h"
#include "lib/seccomp/profile_json.h"

namespace bulwark::profiles {

using base::Code;
using base::Error;
using base::Result;

namespace {

constexpr size_t kFileBytesMax = 1u << 20;
constexpr size_t kFilesMax = 1024;
constexpr std::string_view kSuffix = ".json";

// Compiling finds what parsing cannot: unknown architectures, and rules that libseccomp refuses.
Result<std::shared_ptr<const seccomp::Profile>> Parse(const std::string& text) {
  ASSIGN_OR_RETURN(seccomp::Profile profile, seccomp::ParseProfile(text));
  RETURN_IF_ERROR(seccomp::Compile(profile));
  return std::shared_ptr<const seccomp::Profile>(
      std::make_shared<seccomp::Profile>(std::move(profile)));
}

StoredProfile ReadProfile(const base::UniqueFd& directory, const std::string& path,
                          std::string_view file_name) {
  StoredProfile stored;
  stored.name = file_name.substr(0, file_name.size() - kSuffix.size());
  stored.path = path + "/" + std::string(file_name);
  auto text = base::ReadFileBeneath(directory, std::string(file_name), kFileBytesMax);
  auto profile = text.has_value() ? Parse(*text) : std::move(text).error();
  if (profile.has_value()) {
    stored.digest = oci::Sha256Digest(*text);
    stored.profile = std::move(*profile);
  } else {
    stored.error_path = stored.path;
    stored.error = profile.error().message();
  }
  return stored;
}

bool IsProfileFile(std::string_view name) {
  return name.size() > kSuffix.size() && name.substr(name.size() - kSuffix.size()) == kSuffix &&
         IsProfileName(name.substr(0, name.size() - kSuffix.size()));
}

}  // namespace

bool IsProfileName(std::string_view name) {
  const auto is_alnum = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= 64 && is_alnum(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) {
           return is_alnum(c) || c == '.' || c == '_' || c == '-';
         });
}

std::vector<std::string> ProfileStore::DefaultDirectories() {
  return {"/usr/share/bulwark/seccomp-profiles", "/var/lib/bulwark/profiles"};
}

Result<ProfileStore> ProfileStore::Load(const std::vector<std::string>& directories,
                                        const ProfileStore* previous) {
  ProfileStore store;
  for (const std::string& path : directories) {
    if (!base::PathExists(path)) continue;
    ASSIGN_OR_RETURN(const base::UniqueFd directory, base::OpenDirectory(path));
    ASSIGN_OR_RETURN(const std::vector<std::string> names, base::ListDirectory(path, kFilesMax));
    for (const std::string& name : names) {
      if (!IsProfileFile(name)) continue;
      StoredProfile stored = ReadProfile(directory, path, name);
      store.profiles_.insert_or_assign(stored.name, std::move(stored));
    }
  }
  if (previous == nullptr) return store;
  // A half-written profile must not change what containers get, and not stop them either.
  for (auto& [name, stored] : store.profiles_) {
    const auto known = previous->profiles_.find(name);
    if (stored.profile != nullptr || known == previous->profiles_.end()) continue;
    stored.path = known->second.path;
    stored.digest = known->second.digest;
    stored.profile = known->second.profile;
  }
  return store;
}

Result<StoredProfile> ProfileStore::Get(std::string_view name) const {
  if (!IsProfileName(name)) {
    return Error::Make(Code::kInvalidArgument, "profile name \"{}\"", name.substr(0, 80));
  }
  const auto it = profiles_.find(name);
  if (it == profiles_.end()) return Error::Make(Code::kNotFound, "profile {}: not in any directory", name);
  if (it->second.profile == nullptr) {
    return Error::Make(Code::kFailedPrecondition, "profile {} of {}: {}", name, it->second.error_path,
                       it->second.error);
  }
  return it->second;
}

std::vector<StoredProfile> ProfileStore::List() const {
  std::vector<StoredProfile> list;
  list.reserve(profiles_.size());
  for (const auto& [name, stored] : profiles_) list.push_back(stored);
  return list;
}

}  // namespace bulwark::profiles
