#include "shim/runtime_cli.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <memory>

#include "lib/base/cleanup.h"
#include "lib/base/file_io.h"
#include "lib/base/spawn.h"
#include "shim/runtime_log.h"

namespace bulwark::shim {
namespace {

constexpr size_t kOutputBytesMax = size_t{1} << 20;
constexpr size_t kPidFileBytesMax = 64;

// A file in memory: the runtime never blocks on it, as it would on a pipe that nobody drains.
base::Result<base::UniqueFd> MakeMemoryFile(std::string_view content) {
  base::UniqueFd file(memfd_create("runtime-stdio", MFD_CLOEXEC));
  if (!file.is_open()) return base::Error::FromErrno("create memory file");
  RETURN_IF_ERROR(base::WriteAll(file.get(), content));
  if (lseek(file.get(), 0, SEEK_SET) != 0) return base::Error::FromErrno("rewind memory file");
  return file;
}

std::string ReadOutput(const base::UniqueFd& file) {
  if (!file.is_open()) return {};
  const off_t size = lseek(file.get(), 0, SEEK_END);
  if (size <= 0) return {};
  std::string output(std::min(static_cast<size_t>(size), kOutputBytesMax), '\0');
  const ssize_t got = pread(file.get(), output.data(), output.size(), 0);
  output.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return output;
}

// The shim runs without transparent huge pages; containers must not inherit that (prctl(2):
// inherited through fork and preserved across execve). The setting belongs to the address space,
// which a vfork child shares until its execve.
class HugePagesForChild {
 public:
  HugePagesForChild() : was_disabled_(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1) {
    if (was_disabled_) prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
  }
  ~HugePagesForChild() {
    if (was_disabled_) prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
  }
  HugePagesForChild(const HugePagesForChild&) = delete;
  HugePagesForChild& operator=(const HugePagesForChild&) = delete;

 private:
  const bool was_disabled_;
};

std::string NextLogPath(const std::string& bundle) {
  static uint64_t calls = 0;
  return fmt::format("{}/log-{}.json", bundle, ++calls);
}

}  // namespace

base::Error RuntimeResult::ToError(std::string_view prefix) const {
  return base::Error(base::Code::kUnknown,
                     RuntimeFailureText(prefix, log_error, output, exit_status));
}

RuntimeCli::RuntimeCli(base::EventLoop& loop, Reaper& reaper, Settings settings)
    : loop_(loop), reaper_(reaper), settings_(std::move(settings)) {}

std::string RuntimeCli::PidFile(std::string_view exec_id) const {
  // An exec may be called "init" too; ids never begin with "_".
  const std::string_view name = exec_id.empty() ? "init" : exec_id == "init" ? "_init" : exec_id;
  return fmt::format("{}/{}.pid", settings_.bundle, name);
}

void RuntimeCli::Create(const std::string& console_socket, const Descriptors& stdio, Done done) {
  Call call;
  call.arguments = {"create", "--bundle", settings_.bundle, "--pid-file", PidFile("")};
  if (!console_socket.empty()) {
    call.arguments.insert(call.arguments.end(), {"--console-socket", console_socket});
  }
  if (settings_.no_pivot_root) call.arguments.push_back("--no-pivot");
  if (settings_.no_new_keyring) call.arguments.push_back("--no-new-keyring");
  if (console_socket.empty()) call.stdio = stdio;
  call.leaves_process = true;
  call.keeps_log = true;
  Run(std::move(call), std::move(done));
}

void RuntimeCli::Start(Done done) {
  Call call;
  call.arguments = {"start"};
  Run(std::move(call), std::move(done));
}

void RuntimeCli::Kill(uint32_t signal_number, bool all, Done done) {
  Call call;
  call.arguments = {"kill"};
  if (all) call.arguments.push_back("--all");
  call.arguments.push_back(settings_.container_id);
  call.arguments.push_back(std::to_string(signal_number));
  Run(std::move(call), std::move(done));
}

void RuntimeCli::Delete(bool force, Done done) {
  Call call;
  call.arguments = {"delete"};
  if (force) call.arguments.push_back("--force");
  Run(std::move(call), std::move(done));
}

void RuntimeCli::Exec(const std::string& process_file, const std::string& pid_file,
                      const std::string& console_socket, const Descriptors& stdio, Done done) {
  Call call;
  call.arguments = {"exec", "--process", process_file};
  if (!console_socket.empty()) {
    call.arguments.insert(call.arguments.end(), {"--console-socket", console_socket});
  }
  call.arguments.insert(call.arguments.end(), {"--detach", "--pid-file", pid_file});
  if (console_socket.empty()) call.stdio = stdio;
  call.leaves_process = true;
  Run(std::move(call), std::move(done));
}

void RuntimeCli::Pause(Done done) {
  Call call;
  call.arguments = {"pause"};
  Run(std::move(call), std::move(done));
}

void RuntimeCli::Resume(Done done) {
  Call call;
  call.arguments = {"resume"};
  Run(std::move(call), std::move(done));
}

void RuntimeCli::ListPids(Done done) {
  Call call;
  call.arguments = {"ps", "--format", "json"};
  Run(std::move(call), std::move(done));
}

void RuntimeCli::Update(std::string_view resources_json, Done done) {
  Call call;
  call.arguments = {"update", "--resources=-"};
  call.input = resources_json;
  Run(std::move(call), std::move(done));
}

void RuntimeCli::Run(Call call, Done done) {
  const auto fail = [&](const base::Error& error) {
    loop_.Post([done, text = error.message()] {
      RuntimeResult result;
      result.exit_status = 127;
      result.log_error = text;
      done(std::move(result));
    });
  };
  const std::string log =
      call.keeps_log ? settings_.bundle + "/log.json" : NextLogPath(settings_.bundle);
  unlink(log.c_str());

  base::SpawnOptions options;
  options.argv = {settings_.binary, "--root", settings_.root, "--log", log, "--log-format", "json"};
  if (settings_.systemd_cgroup) options.argv.push_back("--systemd-cgroup");
  const bool names_container = call.arguments.front() != "kill";
  for (std::string& argument : call.arguments) options.argv.push_back(std::move(argument));
  if (names_container) options.argv.push_back(settings_.container_id);
  options.working_directory = settings_.bundle;
  options.parent_death_signal = SIGKILL;
  if (call.stdio) options.descriptors = *call.stdio;

  auto captured = std::make_shared<base::UniqueFd>();
  base::UniqueFd input;
  if (!call.stdio) {
    auto output = MakeMemoryFile({});
    if (!output) return fail(output.error());
    *captured = std::move(*output);
    options.descriptors = {{captured->get(), 1}, {captured->get(), 2}};
    if (!call.input.empty()) {
      auto file = MakeMemoryFile(call.input);
      if (!file) return fail(file.error());
      input = std::move(*file);
      options.descriptors.emplace_back(input.get(), 0);
    }
  }

  auto hold = std::make_shared<Reaper::SweepHold>();
  if (call.leaves_process) *hold = Reaper::SweepHold(&reaper_);
  auto spawned = [&] {
    HugePagesForChild huge_pages;
    return base::Spawn(options);
  }();
  if (!spawned) return fail(spawned.error());
  const pid_t pid = spawned->pid;
  auto watched = reaper_.Watch(
      pid, std::move(spawned->pidfd),
      [captured, hold, log, keeps_log = call.keeps_log, done](const ProcessExit& exit) {
        RuntimeResult result;
        result.exit_status = static_cast<int>(exit.status);
        result.output = ReadOutput(*captured);
        if (!result.ok()) result.log_error = LastErrorOfLogFile(log);
        if (!keeps_log) unlink(log.c_str());
        done(std::move(result));
      });
  // The call is running and cannot be taken back; without its end we would answer nothing, so that
  // is said instead.
  if (!watched) fail(watched.error());
}

base::Result<pid_t> ReadPidFile(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, base::ReadFile(path, kPidFileBytesMax));
  pid_t pid = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, pid);
  const bool only_blank_left =
      std::all_of(rest, end, [](char c) { return c == '\n' || c == ' ' || c == '\r'; });
  if (error != std::errc() || pid <= 0 || !only_blank_left) {
    return base::Error::Make(base::Code::kDataLoss, "read pid file {}: not a pid", path);
  }
  return pid;
}

}  // namespace bulwark::shim
