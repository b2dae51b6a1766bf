#include "shim/os/overlay_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/cleanup.h"
#include "lib/base/unique_fd.h"

namespace bulwark::shim {
namespace {

using base::Code;
using base::Error;
using base::Status;
using base::UniqueFd;

constexpr std::string_view kLowerDir = "lowerdir=";
constexpr size_t kLayersMax = 500;           // OVL_MAX_STACK
constexpr size_t kFsconfigStringBytesMax = 255;  // fsconfig(2) copies at most 256 with the zero

// Splits at ":" that is not escaped with a backslash (overlayfs.rst); escapes stay in place.
std::vector<std::string> SplitLayers(std::string_view text) {
  std::vector<std::string> layers(1);
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) {
      layers.back() += text.substr(i++, 2);
    } else if (text[i] == ':') {
      layers.emplace_back();
    } else {
      layers.back() += text[i];
    }
  }
  return layers;
}

std::string Unescape(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    plain += text[i];
  }
  return plain;
}

// The longest common string, cut back to a whole directory.
std::string_view CommonDirectory(const std::vector<std::string>& layers) {
  std::string_view common = layers.front();
  for (const std::string& layer : layers) {
    const auto end = std::mismatch(common.begin(), common.end(), layer.begin(), layer.end()).first;
    common = common.substr(0, static_cast<size_t>(end - common.begin()));
  }
  const size_t slash = common.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : common.substr(0, slash);
}

Status MountInDirectory(const std::string& directory, const std::string& source,
                        const std::string& target, unsigned long flags, const std::string& data) {
  const UniqueFd here(open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!here.is_open()) return Error::FromErrno("open working directory");
  if (chdir(directory.c_str()) != 0) return Error::FromErrno("change directory to {}", directory);
  // The descriptor is held, so this cannot fail; if it did, nothing relative could be trusted any
  // more.
  const base::Cleanup back([&here] { BULWARK_CHECK(fchdir(here.get()) == 0); });
  if (mount(source.c_str(), target.c_str(), "overlay", flags, data.c_str()) != 0) {
    return Error::FromErrno("mount overlay at {}", target);
  }
  return base::OkStatus();
}

unsigned int MountAttributes(unsigned long flags) {
  unsigned int attributes = 0;
  if ((flags & MS_RDONLY) != 0) attributes |= MOUNT_ATTR_RDONLY;
  if ((flags & MS_NOSUID) != 0) attributes |= MOUNT_ATTR_NOSUID;
  if ((flags & MS_NODEV) != 0) attributes |= MOUNT_ATTR_NODEV;
  if ((flags & MS_NOEXEC) != 0) attributes |= MOUNT_ATTR_NOEXEC;
  if ((flags & MS_NOATIME) != 0) attributes |= MOUNT_ATTR_NOATIME;
  if ((flags & MS_STRICTATIME) != 0) attributes |= MOUNT_ATTR_STRICTATIME;
  if ((flags & MS_NODIRATIME) != 0) attributes |= MOUNT_ATTR_NODIRATIME;
  return attributes;
}

Status SetString(const UniqueFd& context, const std::string& key, const std::string& value) {
  if (value.size() > kFsconfigStringBytesMax) {
    return Error::Make(Code::kResourceExhausted, "mount overlay: {} of {} bytes", key,
                       value.size());
  }
  if (fsconfig(context.get(), FSCONFIG_SET_STRING, key.c_str(), value.c_str(), 0) != 0) {
    return Error::FromErrno("configure overlay {}", key);
  }
  return base::OkStatus();
}

Status Configure(const UniqueFd& context, const std::string& option) {
  const std::string_view text = option;
  if (text.substr(0, kLowerDir.size()) == kLowerDir) {
    for (const std::string& layer : SplitLayers(text.substr(kLowerDir.size()))) {
      RETURN_IF_ERROR(SetString(context, "lowerdir+", Unescape(layer)));
    }
    return base::OkStatus();
  }
  const size_t equals = option.find('=');
  if (equals != std::string::npos) {
    return SetString(context, option.substr(0, equals), Unescape(text.substr(equals + 1)));
  }
  if (fsconfig(context.get(), FSCONFIG_SET_FLAG, option.c_str(), nullptr, 0) != 0) {
    return Error::FromErrno("configure overlay {}", option);
  }
  return base::OkStatus();
}

Status MountLayerByLayer(const std::string& source, const std::string& target,
                         const MountOptions& options) {
  const UniqueFd context(fsopen("overlay", FSOPEN_CLOEXEC));
  if (!context.is_open()) return Error::FromErrno("open overlay filesystem context");
  RETURN_IF_ERROR(SetString(context, "source", source));
  for (const std::string& option : options.data) RETURN_IF_ERROR(Configure(context, option));
  if ((options.flags & MS_RDONLY) != 0) RETURN_IF_ERROR(Configure(context, "ro"));
  if (fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return Error::FromErrno("create overlay for {}", target);
  }
  const UniqueFd mounted(fsmount(context.get(), FSMOUNT_CLOEXEC, MountAttributes(options.flags)));
  if (!mounted.is_open()) return Error::FromErrno("mount overlay for {}", target);
  if (move_mount(mounted.get(), "", AT_FDCWD, target.c_str(),
                 MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS) != 0) {
    return Error::FromErrno("move overlay to {}", target);
  }
  return base::OkStatus();
}

}  // namespace

std::optional<CompactOverlay> CompactLowerDirectories(const std::vector<std::string>& data) {
  CompactOverlay compact;
  std::vector<std::string> layers;
  for (const std::string& option : data) {
    if (std::string_view(option).substr(0, kLowerDir.size()) == kLowerDir) {
      layers = SplitLayers(std::string_view(option).substr(kLowerDir.size()));
    } else {
      compact.data.push_back(option);
    }
  }
  if (layers.size() < 2 || layers.size() > kLayersMax) return std::nullopt;
  const std::string_view common = CommonDirectory(layers);
  if (common.empty() || common.front() != '/') return std::nullopt;
  std::string lower(kLowerDir);
  for (const std::string& layer : layers) {
    if (layer.size() <= common.size() + 1) return std::nullopt;  // the common directory itself
    if (lower.size() > kLowerDir.size()) lower += ':';
    lower += layer.substr(common.size() + 1);
  }
  compact.directory = Unescape(common);
  compact.data.push_back(std::move(lower));
  return compact;
}

Status MountLongOverlay(const std::string& source, const std::string& target,
                        const MountOptions& options) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  if (auto compact = CompactLowerDirectories(options.data); compact) {
    MountOptions shorter;
    shorter.data = std::move(compact->data);
    const std::string data = shorter.JoinedData();
    if (data.size() < page) {
      return MountInDirectory(compact->directory, source, target, options.flags, data);
    }
  }
  auto status = MountLayerByLayer(source, target, options);
  if (status || (status.error().os_errno() != ENOSYS && status.error().os_errno() != EINVAL)) {
    return status;
  }
  return Error::Make(Code::kResourceExhausted,
                     "mount overlay at {}: options of {} bytes exceed a page, and this kernel does "
                     "not take layers one by one",
                     target, options.JoinedData().size());
}

}  // namespace bulwark::shim
