#include "shim/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>

#include "lib/base/event_loop.h"
#include "lib/base/logging.h"
#include "lib/base/spawn.h"
#include "lib/base/unique_fd.h"
#include "lib/base/unix_socket.h"
#include "lib/ttrpc/server.h"
#include "shim/command/start.h"
#include "shim/link/event_publisher.h"
#include "shim/link/gate_client.h"
#include "shim/link/journal.h"
#include "shim/reaper.h"
#include "shim/task_service.h"

namespace bulwark::shim {
namespace {

// containerd gives a Shutdown 3 s (io.containerd.timeout.shim.shutdown).
constexpr int64_t kDrainMs = 3'000;

void ConfigureMemory() {
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_TOP_PAD, 16 << 10);
  mallopt(M_TRIM_THRESHOLD, 64 << 10);
  // A spec of some hundred KiB is gone for good when it is freed.
  mallopt(M_MMAP_THRESHOLD, 64 << 10);
  prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
}

// containerd copies the fifo `log` of the bundle to its own log. Non-blocking: lines are lost when
// nobody reads.
base::UniqueFd OpenLog(bool is_debug) {
  base::UniqueFd log(open("log", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
  base::SetLogSink(log.is_open() ? log.get() : STDERR_FILENO,
                   is_debug ? base::LogLevel::kDebug : base::LogLevel::kInfo);
  return log;
}

base::Result<base::UniqueFd> OpenListener(const Args& args) {
  if (!args.socket.empty()) return base::ListenUnix(args.socket, 0600);
  base::UniqueFd listener(kListenerFd);
  int is_listening = 0;
  socklen_t size = sizeof is_listening;
  if (getsockopt(kListenerFd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) != 0 ||
      is_listening == 0) {
    return base::Error::Make(base::Code::kFailedPrecondition,
                             "serve: descriptor {} is not a listening socket", kListenerFd);
  }
  if (fcntl(kListenerFd, F_SETFD, FD_CLOEXEC) != 0 ||
      fcntl(kListenerFd, F_SETFL, O_NONBLOCK) != 0) {
    return base::Error::FromErrno("serve: prepare descriptor {}", kListenerFd);
  }
  return listener;
}

// The path a listening socket is bound to; empty if it has none.
std::string PathOf(const base::UniqueFd& listener) {
  sockaddr_un address = {};
  socklen_t size = sizeof address;
  if (getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
  if (size <= offsetof(sockaddr_un, sun_path) || address.sun_path[0] == '\0') return {};
  return std::string(address.sun_path, strnlen(address.sun_path, sizeof address.sun_path));
}

base::Result<base::UniqueFd> OpenSignals() {
  sigset_t handled;
  sigemptyset(&handled);
  for (const int number : {SIGCHLD, SIGTERM, SIGINT, SIGUSR1}) sigaddset(&handled, number);
  if (sigprocmask(SIG_BLOCK, &handled, nullptr) != 0)
    return base::Error::FromErrno("block signals");
  // Whatever else would end us, and every container's supervision with us: a signal meant for
  // containerd (pkill matches our name), a write to a reader that has gone or beyond a size limit.
  for (const int number : {SIGPIPE, SIGXFSZ, SIGHUP, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGIO,
                           SIGPWR}) {
    signal(number, SIG_IGN);
  }
  base::UniqueFd signals(signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals.is_open()) return base::Error::FromErrno("open signalfd");
  return signals;
}

std::unique_ptr<EventJournal> OpenJournal() {
  char* const directory = get_current_dir_name();
  const std::string path = std::string(directory == nullptr ? "." : directory) + "/" + kJournalName;
  free(directory);
  auto journal = EventJournal::Open(path);
  if (journal) return std::move(*journal);
  base::LogError("lifecycle events are kept in memory only",
                 {{"path", path}, {"error", journal.error().message()}});
  return nullptr;
}

EventPublisherOptions PublisherOptions(const Args& args) {
  EventPublisherOptions options;
  const char* const address = getenv("TTRPC_ADDRESS");
  options.address = address == nullptr ? args.address + ".ttrpc" : address;
  options.containerd_namespace = args.containerd_namespace;
  return options;
}

ttrpc::ServerOptions ServingOptions() {
  ttrpc::ServerOptions options;
  options.is_long_wait = [](std::string_view, std::string_view method) { return method == "Wait"; };
  return options;
}

class Shim {
 public:
  Shim(base::EventLoop& loop, const Args& args)
      : loop_(loop),
        reaper_(loop, base::SystemClock()),
        events_(loop, base::SystemClock(), PublisherOptions(args)),
        gate_(loop, base::SystemClock(), GateClientOptionsFromEnvironment(), OpenJournal()),
        service_({loop, base::SystemClock(), reaper_, events_, gate_, args.containerd_namespace},
                 [this] { ShutDown(); }),
        server_(loop, ServingOptions(),
                [this](ttrpc::ServerCall call, ttrpc::Responder responder) {
                  service_.Handle(std::move(call), std::move(responder));
                }) {}

  base::Status Run(base::UniqueFd listener, const base::UniqueFd& signals) {
    socket_path_ = PathOf(listener);
    RETURN_IF_ERROR(loop_.Watch(signals.get(), EPOLLIN,
                                [this, fd = signals.get()](uint32_t) { OnSignal(fd); }));
    RETURN_IF_ERROR(server_.Serve(std::move(listener)));
    return loop_.Run();
  }

 private:
  void OnSignal(int fd) {
    signalfd_siginfo info = {};
    while (read(fd, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      if (info.ssi_signo == SIGCHLD) {
        reaper_.RequestSweep();
      } else if (info.ssi_signo == SIGUSR1) {
        LogState();
      } else {
        base::LogInfo("stopping on a signal; containers live on",
                      {{"signal", std::to_string(info.ssi_signo)}});
        ShutDown();
      }
    }
  }

  void LogState() const {
    base::LogInfo("state", {{"containers", std::to_string(service_.container_count())},
                            {"connections", std::to_string(server_.connection_count())},
                            {"watched_processes", std::to_string(reaper_.watched_count())},
                            {"shutting_down", is_shutting_down_ ? "true" : "false"}});
  }

  // The name goes first: a `start` for the same group must find nobody rather than a shim that is
  // leaving; and once the listener were closed, the name could be that of the next shim.
  void ShutDown() {
    if (std::exchange(is_shutting_down_, true)) return;
    if (!socket_path_.empty()) unlink(socket_path_.c_str());
    server_.StopAccepting();
    // A peer that does not read must not keep us.
    loop_.AddTimer(kDrainMs, [this] { Drain(); });
    server_.FlushThen([this] { Drain(); });
  }

  void Drain() {
    if (std::exchange(is_draining_, true)) return;
    events_.Drain(kDrainMs, [this] { OnDrained(); });
    gate_.Finish(kDrainMs, [this](const base::Status& status) {
      if (!status)
        base::LogError("lifecycle events not spooled", {{"error", status.error().message()}});
      OnDrained();
    });
  }

  void OnDrained() {
    if (++drained_ == 2) loop_.Stop();
  }

  base::EventLoop& loop_;
  Reaper reaper_;
  EventPublisher events_;
  GateClient gate_;
  TaskService service_;
  ttrpc::Server server_;
  std::string socket_path_;
  bool is_shutting_down_ = false;
  bool is_draining_ = false;
  int drained_ = 0;
};

base::Status ServeUntilShutdown(const Args& args) {
  if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
    return base::Error::FromErrno("become a child subreaper");
  }
  ASSIGN_OR_RETURN(const base::UniqueFd signals, OpenSignals());
  // Each container takes some descriptors, and containerd may run with 1024.
  if (auto raised = base::RaiseDescriptorLimit(); !raised) {
    base::LogWarn("descriptor limit stays", {{"error", raised.error().message()}});
  }
  ASSIGN_OR_RETURN(base::UniqueFd listener, OpenListener(args));
  ASSIGN_OR_RETURN(const std::unique_ptr<base::EventLoop> loop, base::EventLoop::Create());
  Shim shim(*loop, args);
  return shim.Run(std::move(listener), signals);
}

}  // namespace

int Serve(const Args& args) {
  ConfigureMemory();
  const base::UniqueFd log = OpenLog(args.is_debug);
  // runc and crun would take it for their own (sd_notify(3)).
  unsetenv("NOTIFY_SOCKET");
  for (const std::string& flag : args.unknown_flags) {
    base::LogWarn("unknown flag ignored", {{"flag", flag}});
  }
  const base::Status status = ServeUntilShutdown(args);
  if (!status) base::LogError("shim failed", {{"error", status.error().message()}});
  return status ? 0 : 1;
}

}  // namespace bulwark::shim
