#include "shim/os/mount_options.h"

#include <sys/mount.h>

#include <string_view>

namespace bulwark::shim {
namespace {

using base::Code;
using base::Error;
using base::Result;

constexpr size_t kOptionsMax = 4096;

struct FlagWord {
  std::string_view word;
  bool clears;
  unsigned long flag;
};

// mount(8), "FILESYSTEM-INDEPENDENT MOUNT OPTIONS". Words about propagation are absent, as in
// containerd's own table.
constexpr FlagWord kFlagWords[] = {
    {"async", true, MS_SYNCHRONOUS},
    {"atime", true, MS_NOATIME},
    {"bind", false, MS_BIND},
    {"defaults", false, 0},
    {"dev", true, MS_NODEV},
    {"diratime", true, MS_NODIRATIME},
    {"dirsync", false, MS_DIRSYNC},
    {"exec", true, MS_NOEXEC},
    {"mand", false, MS_MANDLOCK},
    {"noatime", false, MS_NOATIME},
    {"nodev", false, MS_NODEV},
    {"nodiratime", false, MS_NODIRATIME},
    {"noexec", false, MS_NOEXEC},
    {"nomand", true, MS_MANDLOCK},
    {"norelatime", true, MS_RELATIME},
    {"nostrictatime", true, MS_STRICTATIME},
    {"nosuid", false, MS_NOSUID},
    {"rbind", false, MS_BIND | MS_REC},
    {"relatime", false, MS_RELATIME},
    {"remount", false, MS_REMOUNT},
    {"ro", false, MS_RDONLY},
    {"rw", true, MS_RDONLY},
    {"strictatime", false, MS_STRICTATIME},
    {"suid", true, MS_NOSUID},
    {"sync", false, MS_SYNCHRONOUS},
};

const FlagWord* FindFlagWord(std::string_view word) {
  for (const FlagWord& entry : kFlagWords) {
    if (entry.word == word) return &entry;
  }
  return nullptr;
}

bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

}  // namespace

std::string MountOptions::JoinedData() const {
  std::string joined;
  for (const std::string& option : data) {
    if (!joined.empty()) joined += ',';
    joined += option;
  }
  return joined;
}

Result<MountOptions> ParseMountOptions(const std::vector<std::string>& options) {
  if (options.size() > kOptionsMax) {
    return Error::Make(Code::kResourceExhausted, "parse mount options: {} of them", options.size());
  }
  MountOptions parsed;
  for (const std::string& option : options) {
    if (option.empty() || option.find('\0') != std::string::npos) {
      return Error(Code::kInvalidArgument, "parse mount options: empty option or zero byte");
    }
    if (const FlagWord* entry = FindFlagWord(option); entry != nullptr) {
      parsed.flags = entry->clears ? parsed.flags & ~entry->flag : parsed.flags | entry->flag;
      continue;
    }
    if (StartsWith(option, "X-containerd.")) {
      return Error::Make(Code::kInvalidArgument, "mount option {}: not for a shim", option);
    }
    if (option == "loop" || option == "direct-io" || StartsWith(option, "uidmap=") ||
        StartsWith(option, "gidmap=")) {
      return Error::Make(Code::kUnimplemented, "mount option {}: not supported", option);
    }
    parsed.data.push_back(option);
  }
  return parsed;
}

}  // namespace bulwark::shim
