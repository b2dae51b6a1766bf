#include "shim/os/stdio.h"

#include <fcntl.h>
#include <unistd.h>

#include <optional>

#include "lib/base/logging.h"
#include "lib/base/unique_fd.h"
#include "shim/os/client_streams.h"
#include "shim/os/console.h"
#include "shim/os/logger_process.h"
#include "shim/os/stdio_uri.h"
#include "shim/os/stream_copier.h"

namespace bulwark::shim {
namespace {

using base::Code;
using base::Error;
using base::Result;
using base::Status;
using base::UniqueFd;

struct WindowSize {
  uint32_t width = 0;
  uint32_t height = 0;
};

struct ParsedUris {
  StdioUri in;
  StdioUri out;
  StdioUri err;
};

Result<ParsedUris> ParseUris(const StdioRequest& request) {
  ParsedUris uris;
  ASSIGN_OR_RETURN(uris.in, ParseStdioUri(request.stdin_uri));
  ASSIGN_OR_RETURN(uris.out, ParseStdioUri(request.stdout_uri));
  if (uris.in.kind == StdioKind::kFile || uris.in.kind == StdioKind::kLogger) {
    return Error(Code::kInvalidArgument, "stdin must be a path");
  }
  // Clients repeat the log URI in stderr or leave it empty; stdout's decides for both.
  if (request.terminal || uris.out.kind == StdioKind::kFile ||
      uris.out.kind == StdioKind::kLogger) {
    return uris;
  }
  ASSIGN_OR_RETURN(uris.err, ParseStdioUri(request.stderr_uri));
  if (uris.err.kind == StdioKind::kLogger) {
    return Error(Code::kInvalidArgument, "stderr goes to a logger only together with stdout");
  }
  return uris;
}

Result<StreamCopier::Sink> OpenSink(const StdioUri& uri) {
  return uri.kind == StdioKind::kFile ? OpenLogFile(uri.path) : OpenClientOutput(uri.path);
}

Result<UniqueFd> Duplicate(const UniqueFd& fd) {
  UniqueFd copy(fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
  if (!copy.is_open()) return Error::FromErrno("duplicate descriptor {}", fd.get());
  return copy;
}

}  // namespace

struct Stdio::Impl {
  explicit Impl(base::EventLoop& event_loop) : loop(event_loop) {}

  Status OpenStreams(const StdioRequest& request);
  Status OpenTerminal(const StdioRequest& request, const ParsedUris& uris);
  Status OpenInput(const StdioRequest& request, const StdioUri& uri);
  Status OpenOutput(const StdioRequest& request, const StdioUri& uri, UniqueFd& child_end,
                    std::unique_ptr<StreamCopier>& copy);
  Status StartLogger(const StdioRequest& request, const StdioUri& uri,
                     LoggerProcess::Started& started);
  Status GiveToChild(const StdioRequest& request, UniqueFd end, UniqueFd& child_end) const;
  Status ConsoleArrived(Result<UniqueFd> received);
  void InputEnded();
  void OutputEnded();
  void CloseTerminal();
  void CloseAll();

  base::EventLoop& loop;
  bool terminal = false;
  bool is_spawned = false;
  UniqueFd child_stdin;
  UniqueFd child_stdout;
  UniqueFd child_stderr;
  UniqueFd stdin_closer;
  std::unique_ptr<StreamCopier> stdin_copy;
  std::unique_ptr<StreamCopier> stdout_copy;
  std::unique_ptr<StreamCopier> stderr_copy;
  int open_outputs = 0;
  std::function<void()> on_drained;
  std::shared_ptr<LoggerProcess> logger;

  // Terminal only. The sink and the reader wait here for the master.
  std::unique_ptr<ConsoleSocket> console;
  Status console_status;
  StreamCopier::Sink terminal_sink;
  UniqueFd terminal_input;
  UniqueFd master;
  std::optional<WindowSize> wanted_size;
};

Stdio::Stdio(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Stdio::~Stdio() { Close(); }

Result<std::unique_ptr<Stdio>> Stdio::Open(base::EventLoop& loop, const StdioRequest& request) {
  auto impl = std::make_unique<Impl>(loop);
  impl->terminal = request.terminal;
  // The object closes what was opened so far, and stops the logger, if an error ends this early.
  std::unique_ptr<Stdio> stdio(new Stdio(std::move(impl)));
  RETURN_IF_ERROR(stdio->impl_->OpenStreams(request));
  return stdio;
}

Status Stdio::Impl::OpenStreams(const StdioRequest& request) {
  ASSIGN_OR_RETURN(const ParsedUris uris, ParseUris(request));
  if (terminal) return OpenTerminal(request, uris);

  RETURN_IF_ERROR(OpenInput(request, uris.in));
  if (uris.out.kind == StdioKind::kLogger) {
    LoggerProcess::Started started;
    RETURN_IF_ERROR(StartLogger(request, uris.out, started));
    RETURN_IF_ERROR(GiveToChild(request, std::move(started.stdout_writer), child_stdout));
    return GiveToChild(request, std::move(started.stderr_writer), child_stderr);
  }
  RETURN_IF_ERROR(OpenOutput(request, uris.out, child_stdout, stdout_copy));
  const StdioUri& err = uris.out.kind == StdioKind::kFile ? uris.out : uris.err;
  return OpenOutput(request, err, child_stderr, stderr_copy);
}

Status Stdio::Impl::OpenInput(const StdioRequest& request, const StdioUri& uri) {
  if (uri.kind == StdioKind::kNone) return base::OkStatus();
  ASSIGN_OR_RETURN(ClientInput input, OpenClientInput(uri.path));
  if (!input.closer.is_open()) {  // a file needs no copying, and has an end of its own
    child_stdin = std::move(input.reader);
    return base::OkStatus();
  }
  ASSIGN_OR_RETURN(Pipe pipe, MakePipe());
  RETURN_IF_ERROR(SetNonBlocking(pipe.write_end));
  RETURN_IF_ERROR(GiveToChild(request, std::move(pipe.read_end), child_stdin));
  stdin_closer = std::move(input.closer);
  StreamCopier::Source source;
  source.fd = std::move(input.reader);
  StreamCopier::Sink sink;
  sink.fd = std::move(pipe.write_end);
  sink.drains_on_error = false;
  stdin_copy = std::make_unique<StreamCopier>(loop, std::move(source), std::move(sink),
                                              [this] { InputEnded(); });
  return base::OkStatus();
}

Status Stdio::Impl::OpenOutput(const StdioRequest& request, const StdioUri& uri,
                               UniqueFd& child_end, std::unique_ptr<StreamCopier>& copy) {
  if (uri.kind == StdioKind::kNone) return base::OkStatus();
  ASSIGN_OR_RETURN(StreamCopier::Sink sink, OpenSink(uri));
  ASSIGN_OR_RETURN(Pipe pipe, MakePipe());
  RETURN_IF_ERROR(SetNonBlocking(pipe.read_end));
  RETURN_IF_ERROR(GiveToChild(request, std::move(pipe.write_end), child_end));
  StreamCopier::Source source;
  source.fd = std::move(pipe.read_end);
  copy = std::make_unique<StreamCopier>(loop, std::move(source), std::move(sink),
                                        [this] { OutputEnded(); });
  ++open_outputs;
  return base::OkStatus();
}

Status Stdio::Impl::StartLogger(const StdioRequest& request, const StdioUri& uri,
                                LoggerProcess::Started& started) {
  ASSIGN_OR_RETURN(started, LoggerProcess::Start(loop, uri, request.logger_id,
                                                 request.logger_namespace));
  logger = started.process;
  return base::OkStatus();
}

Status Stdio::Impl::GiveToChild(const StdioRequest& request, UniqueFd end,
                                UniqueFd& child_end) const {
  if ((request.io_uid != 0 || request.io_gid != 0) &&
      fchown(end.get(), request.io_uid, request.io_gid) != 0) {
    return Error::FromErrno("change owner of stdio pipe to {}:{}", request.io_uid, request.io_gid);
  }
  child_end = std::move(end);
  return base::OkStatus();
}

Status Stdio::Impl::OpenTerminal(const StdioRequest& request, const ParsedUris& uris) {
  if (uris.in.kind != StdioKind::kNone) {
    ASSIGN_OR_RETURN(ClientInput input, OpenClientInput(uris.in.path));
    if (!input.closer.is_open()) {
      return Error::Make(Code::kInvalidArgument, "stdin of a terminal must be a fifo: {}",
                         uris.in.path);
    }
    terminal_input = std::move(input.reader);
    stdin_closer = std::move(input.closer);
  }
  if (uris.out.kind == StdioKind::kLogger) {
    LoggerProcess::Started started;
    RETURN_IF_ERROR(StartLogger(request, uris.out, started));
    RETURN_IF_ERROR(SetNonBlocking(started.stdout_writer));
    terminal_sink.fd = std::move(started.stdout_writer);
  } else if (uris.out.kind == StdioKind::kNone) {
    // Somebody has to read the master, or the container's writes would block.
    ASSIGN_OR_RETURN(terminal_sink, OpenClientOutput("/dev/null"));
  } else {
    ASSIGN_OR_RETURN(terminal_sink, OpenSink(uris.out));
  }
  ++open_outputs;
  ASSIGN_OR_RETURN(console, ConsoleSocket::Listen(loop, [this](Result<UniqueFd> received) {
    console_status = ConsoleArrived(std::move(received));
    if (console_status) return;
    base::LogError("no console", {{"error", console_status.error().message()}});
    CloseTerminal();
    OutputEnded();
  }));
  return base::OkStatus();
}

Status Stdio::Impl::ConsoleArrived(Result<UniqueFd> received) {
  ASSIGN_OR_RETURN(master, std::move(received));
  StreamCopier::Source output;
  ASSIGN_OR_RETURN(output.fd, Duplicate(master));
  output.is_terminal = true;
  if (terminal_input.is_open()) {
    StreamCopier::Sink keyboard;
    ASSIGN_OR_RETURN(keyboard.fd, Duplicate(master));
    keyboard.is_terminal = true;
    keyboard.drains_on_error = false;
    StreamCopier::Source input;
    input.fd = std::move(terminal_input);
    stdin_copy = std::make_unique<StreamCopier>(loop, std::move(input), std::move(keyboard),
                                                [this] { InputEnded(); });
    stdin_copy->Start();
  }
  stdout_copy = std::make_unique<StreamCopier>(loop, std::move(output), std::move(terminal_sink),
                                               [this] {
                                                 CloseTerminal();
                                                 OutputEnded();
                                               });
  stdout_copy->Start();
  if (wanted_size) return SetWindowSize(master, wanted_size->width, wanted_size->height);
  return base::OkStatus();
}

void Stdio::Impl::InputEnded() {
  stdin_closer.Reset();
  if (terminal && stdout_copy) stdout_copy->FinishWhenEmpty();
}

// May destroy `this`.
void Stdio::Impl::OutputEnded() {
  if (open_outputs > 0) --open_outputs;
  if (open_outputs > 0) return;
  if (const auto done = std::exchange(on_drained, nullptr); done) done();
}

// The last master descriptor to be closed hangs the terminal up.
void Stdio::Impl::CloseTerminal() {
  if (stdin_copy) stdin_copy->Close();
  if (stdout_copy) stdout_copy->Close();
  stdin_closer.Reset();
  terminal_input.Reset();
  terminal_sink = {};
  master.Reset();
}

void Stdio::Impl::CloseAll() {
  on_drained = nullptr;
  CloseTerminal();
  if (stderr_copy) stderr_copy->Close();
  console.reset();
  child_stdin.Reset();
  child_stdout.Reset();
  child_stderr.Reset();
  open_outputs = 0;
  if (logger) logger->Stop();
  logger.reset();
}

void Stdio::WhenReady(std::function<void(Status)> done) {
  if (impl_->logger) return impl_->logger->WhenReady(std::move(done));
  done(base::OkStatus());
}

std::vector<std::pair<int, int>> Stdio::ChildDescriptors() const {
  std::vector<std::pair<int, int>> descriptors;
  if (impl_->child_stdin.is_open()) {
    descriptors.emplace_back(impl_->child_stdin.get(), STDIN_FILENO);
  }
  if (impl_->child_stdout.is_open()) {
    descriptors.emplace_back(impl_->child_stdout.get(), STDOUT_FILENO);
  }
  if (impl_->child_stderr.is_open()) {
    descriptors.emplace_back(impl_->child_stderr.get(), STDERR_FILENO);
  }
  return descriptors;
}

const std::string& Stdio::console_socket() const {
  static const std::string none;
  return impl_->console ? impl_->console->path() : none;
}

void Stdio::ChildSpawned() {
  if (std::exchange(impl_->is_spawned, true)) return;
  impl_->child_stdin.Reset();
  impl_->child_stdout.Reset();
  impl_->child_stderr.Reset();
  if (impl_->terminal) return;  // starts when the console arrives
  if (impl_->stdin_copy) impl_->stdin_copy->Start();
  if (impl_->stdout_copy) impl_->stdout_copy->Start();
  if (impl_->stderr_copy) impl_->stderr_copy->Start();
}

Status Stdio::RuntimeFinished() {
  if (!impl_->console) return base::OkStatus();
  impl_->console->ReceiveNow();
  return impl_->console_status;
}

Status Stdio::Resize(uint32_t width, uint32_t height) {
  if (!impl_->terminal) return base::OkStatus();
  if (impl_->master.is_open()) return SetWindowSize(impl_->master, width, height);
  impl_->wanted_size = WindowSize{width, height};
  return base::OkStatus();
}

void Stdio::CloseStdin() { impl_->stdin_closer.Reset(); }

void Stdio::ProcessExited() {
  if (!impl_->terminal) return;
  // Held back, because it may destroy this object, which is still needed below.
  auto on_drained = std::exchange(impl_->on_drained, nullptr);
  if (impl_->console) impl_->console->ReceiveNow();
  if (impl_->open_outputs == 0 && on_drained) return on_drained();
  impl_->on_drained = std::move(on_drained);
  impl_->stdin_closer.Reset();
  if (impl_->stdin_copy) impl_->stdin_copy->Close();
  if (impl_->stdout_copy) impl_->stdout_copy->FinishWhenEmpty();
}

void Stdio::OnOutputDrained(std::function<void()> done) {
  // Before the runtime was spawned nobody writes, and our own descriptors would keep the pipes open
  // for ever.
  if (impl_->open_outputs == 0 || !impl_->is_spawned) return done();
  impl_->on_drained = std::move(done);
}

void Stdio::Close() { impl_->CloseAll(); }

}  // namespace bulwark::shim
