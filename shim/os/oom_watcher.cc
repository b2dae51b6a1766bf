#include "shim/os/oom_watcher.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string_view>
#include <unordered_map>
#include <utility>

#include "lib/base/file_io.h"
#include "lib/base/unique_fd.h"
#include "shim/os/flat_file.h"

namespace bulwark::shim {
namespace {

using base::Code;
using base::Error;
using base::Result;
using base::Status;
using base::UniqueFd;

// The "oom_kill" line of memory.events; 0 if there is none.
uint64_t KillsIn(const std::string& directory) {
  uint64_t kills = 0;
  if (const auto text = ReadControlFile(directory, "memory.events"); text) {
    ForEachPair(*text, [&kills](std::string_view key, uint64_t value) {
      if (key == "oom_kill") kills = value;
    });
  }
  return kills;
}

bool IsThere(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0;
}

Result<UniqueFd> RegisterEventFd(const std::string& directory) {
  UniqueFd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event.is_open()) return Error::FromErrno("eventfd");
  const std::string control_path = directory + "/memory.oom_control";
  const UniqueFd control(open(control_path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!control.is_open()) return Error::FromErrno("open {}", control_path);
  const std::string registry_path = directory + "/cgroup.event_control";
  const UniqueFd registry(open(registry_path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!registry.is_open()) return Error::FromErrno("open {}", registry_path);
  const std::string line = fmt::format("{} {}", event.get(), control.get());
  if (write(registry.get(), line.data(), line.size()) < 0) {
    return Error::FromErrno("write to {}", registry_path);
  }
  return event;
}

}  // namespace

struct OomWatcher::Impl {
  struct Watched {
    CgroupMode mode = CgroupMode::kV2;
    std::string directory;  // of the memory controller
    int inotify_watch = -1;
    uint64_t kills_reported = 0;
    UniqueFd event;  // v1
  };

  Impl(base::EventLoop& event_loop, Callback function)
      : loop(event_loop), callback(std::move(function)) {}
  ~Impl() {
    for (const auto& entry : watched) {
      if (entry.second.event.is_open()) loop.Unwatch(entry.second.event.get());
    }
    if (inotify.is_open()) loop.Unwatch(inotify.get());
  }

  Status AddV1(const std::string& id, Watched entry);
  Status AddV2(const std::string& id, Watched entry);
  Status OpenInotify();
  void OnInotify();
  void Check(const std::string& id);
  bool HasNews(Watched& entry) const;

  base::EventLoop& loop;
  Callback callback;
  UniqueFd inotify;
  std::unordered_map<std::string, Watched> watched;
};

OomWatcher::OomWatcher(base::EventLoop& loop, Callback callback)
    : impl_(std::make_unique<Impl>(loop, std::move(callback))) {}
OomWatcher::~OomWatcher() = default;

Status OomWatcher::Add(const std::string& container_id, const Cgroup& cgroup) {
  if (impl_->watched.count(container_id) != 0) {
    return Error::Make(Code::kAlreadyExists, "watch {} for OOM: watched already", container_id);
  }
  const std::string* directory = cgroup.DirectoryOf("memory");
  if (directory == nullptr) {
    return Error::Make(Code::kNotFound, "watch {} for OOM: no memory controller", container_id);
  }
  Impl::Watched entry;
  entry.mode = cgroup.mode;
  entry.directory = *directory;
  return cgroup.mode == CgroupMode::kV1 ? impl_->AddV1(container_id, std::move(entry))
                                        : impl_->AddV2(container_id, std::move(entry));
}

Status OomWatcher::Impl::AddV1(const std::string& id, Watched entry) {
  ASSIGN_OR_RETURN(entry.event, RegisterEventFd(entry.directory));
  RETURN_IF_ERROR(loop.Watch(entry.event.get(), EPOLLIN, [this, id](uint32_t) { Check(id); }));
  watched.emplace(id, std::move(entry));
  return base::OkStatus();
}

Status OomWatcher::Impl::AddV2(const std::string& id, Watched entry) {
  RETURN_IF_ERROR(OpenInotify());
  const std::string path = entry.directory + "/memory.events";
  // A cgroup that existed before may have had kills before: what counts is from now on. Read before
  // watching, so that a kill in between is reported rather than lost.
  entry.kills_reported = KillsIn(entry.directory);
  entry.inotify_watch = inotify_add_watch(inotify.get(), path.c_str(), IN_MODIFY);
  if (entry.inotify_watch < 0) return Error::FromErrno("watch {}", path);
  watched.emplace(id, std::move(entry));
  return base::OkStatus();
}

Status OomWatcher::Impl::OpenInotify() {
  if (inotify.is_open()) return base::OkStatus();
  UniqueFd fd(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!fd.is_open()) return Error::FromErrno("inotify_init1");
  RETURN_IF_ERROR(loop.Watch(fd.get(), EPOLLIN, [this](uint32_t) { OnInotify(); }));
  inotify = std::move(fd);
  return base::OkStatus();
}

// Which file changed does not matter: all of them are read, and the counters tell. That also covers
// IN_Q_OVERFLOW.
void OomWatcher::Impl::OnInotify() {
  alignas(inotify_event) char events[4096];
  while (read(inotify.get(), events, sizeof events) > 0) {
  }
  std::vector<std::string> struck;
  for (auto& [id, entry] : watched) {
    if (entry.mode == CgroupMode::kV2 && HasNews(entry)) struck.push_back(id);
  }
  for (const std::string& id : struck) callback(id);
}

bool OomWatcher::Impl::HasNews(Watched& entry) const {
  if (entry.mode == CgroupMode::kV1) {
    uint64_t count = 0;
    const bool has_fired = read(entry.event.get(), &count, sizeof count) == sizeof count;
    return has_fired && IsThere(entry.directory);  // it fires once more when the cgroup is removed
  }
  const uint64_t kills = KillsIn(entry.directory);
  if (kills <= entry.kills_reported) return false;
  entry.kills_reported = kills;
  return true;
}

void OomWatcher::Impl::Check(const std::string& id) {
  const auto it = watched.find(id);
  if (it == watched.end()) return;
  // A copy: the callback may remove the entry, and with it the caller's string.
  const std::string container_id = id;
  if (HasNews(it->second)) callback(container_id);
}

void OomWatcher::CheckNow(const std::string& container_id) { impl_->Check(container_id); }

void OomWatcher::Remove(const std::string& container_id) {
  const auto it = impl_->watched.find(container_id);
  if (it == impl_->watched.end()) return;
  if (it->second.event.is_open()) impl_->loop.Unwatch(it->second.event.get());
  if (it->second.inotify_watch >= 0) {
    inotify_rm_watch(impl_->inotify.get(), it->second.inotify_watch);
  }
  impl_->watched.erase(it);
}

}  // namespace bulwark::shim
