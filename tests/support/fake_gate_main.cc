// A gate for tests and benchmarks of the shim: answers bulwark.v1.Gate without a daemon behind it.
// Allows everything and gives the specs back unchanged, unless told otherwise; writes one line per
// request and per lifecycle event to stdout.
//
//   fake_gate --socket PATH [--deny-create TEXT] [--deny-exec TEXT] [--delay-ms N] [--no-answer]
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <string>
#include <utility>

#include "bulwark/v1/gate.pb.h"
#include "lib/base/event_loop.h"
#include "lib/base/unix_socket.h"
#include "lib/ttrpc/server.h"

namespace bulwark {
namespace {

struct Options {
  std::string socket;
  std::string deny_create;
  std::string deny_exec;
  int64_t delay_ms = 0;
  bool no_answer = false;
};

base::Error Malformed() { return {base::Code::kInvalidArgument, "malformed request"}; }

class FakeGate {
 public:
  FakeGate(base::EventLoop& loop, Options options) : loop_(loop), options_(std::move(options)) {}

  void Handle(const ttrpc::ServerCall& call, const ttrpc::Responder& responder) {
    base::Result<std::string> answer = Answer(call.method, call.payload);
    fflush(stdout);
    if (options_.no_answer) {
      // Kept, so that the caller does not even get an error.
      loop_.AddTimer(int64_t{3'600'000}, [responder] {});
      return;
    }
    if (options_.delay_ms == 0 || call.method == "Report")
      return responder.Reply(std::move(answer));
    loop_.AddTimer(options_.delay_ms, [responder, answer] { responder.Reply(answer); });
  }

 private:
  base::Result<std::string> Answer(const std::string& method, const std::string& payload) {
    if (method == "AdmitCreate") {
      v1::AdmitCreateRequest request;
      if (!request.ParseFromString(payload)) return Malformed();
      printf("AdmitCreate %s mounts=%d runtime=%s\n", request.container_id().c_str(),
             request.rootfs_size(), request.runtime_binary().c_str());
      return Admit(options_.deny_create, std::move(*request.mutable_runtime_spec()));
    }
    if (method == "AdmitExec") {
      v1::AdmitExecRequest request;
      if (!request.ParseFromString(payload)) return Malformed();
      printf("AdmitExec %s %s of=%s container_process_bytes=%zu\n", request.container_id().c_str(),
             request.exec_id().c_str(), request.create_decision_id().c_str(),
             request.container_process_spec().size());
      return Admit(options_.deny_exec, std::move(*request.mutable_process_spec()));
    }
    if (method == "Attach") {
      v1::AttachRequest request;
      if (!request.ParseFromString(payload)) return Malformed();
      printf("Attach %s pid=%u cgroup=%s\n", request.container_id().c_str(), request.pid(),
             request.cgroup().c_str());
      return v1::AttachResponse().SerializeAsString();
    }
    if (method == "Report") return Report(payload);
    return base::Error(base::Code::kUnimplemented, "no such method: " + method);
  }

  std::string Admit(const std::string& deny, std::string spec) {
    v1::AdmitResponse response;
    response.set_decision_id("decision-" + std::to_string(++decisions_));
    response.set_allowed(deny.empty());
    response.set_reason_code(deny.empty() ? "ok" : "test.denied");
    response.set_message(deny + " (" + response.decision_id() + ")");
    if (deny.empty()) response.set_effective_spec(std::move(spec));
    return response.SerializeAsString();
  }

  base::Result<std::string> Report(const std::string& payload) {
    v1::ReportRequest request;
    if (!request.ParseFromString(payload)) return Malformed();
    v1::ReportResponse response;
    for (const auto& event : request.events()) {
      printf(
          "Event %s #%llu kind=%d container=%s exec=%s pid=%u status=%u signal=%u decision=%s "
          "detail=%s\n",
          event.source_id().c_str(), static_cast<unsigned long long>(event.source_seq()),
          static_cast<int>(event.kind()), event.container_id().c_str(), event.exec_id().c_str(),
          event.pid(), event.exit_status(), event.signal(), event.decision_id().c_str(),
          event.detail().c_str());
      response.set_acknowledged_seq(event.source_seq());
    }
    return response.SerializeAsString();
  }

  base::EventLoop& loop_;
  Options options_;
  int decisions_ = 0;
};

bool ParseOptions(int argc, char** argv, Options* options) {
  static const option kLong[] = {{"socket", required_argument, nullptr, 's'},
                                 {"deny-create", required_argument, nullptr, 'c'},
                                 {"deny-exec", required_argument, nullptr, 'e'},
                                 {"delay-ms", required_argument, nullptr, 'd'},
                                 {"no-answer", no_argument, nullptr, 'n'},
                                 {nullptr, 0, nullptr, 0}};
  for (int flag; (flag = getopt_long(argc, argv, "", kLong, nullptr)) != -1;) {
    switch (flag) {
      case 's':
        options->socket = optarg;
        break;
      case 'c':
        options->deny_create = optarg;
        break;
      case 'e':
        options->deny_exec = optarg;
        break;
      case 'd':
        options->delay_ms = atoll(optarg);
        break;
      case 'n':
        options->no_answer = true;
        break;
      default:
        return false;
    }
  }
  return !options->socket.empty();
}

base::Status Run(const Options& options) {
  ASSIGN_OR_RETURN(const auto loop, base::EventLoop::Create());
  ASSIGN_OR_RETURN(base::UniqueFd listener, base::ListenUnix(options.socket, 0600));
  FakeGate gate(*loop, options);
  ttrpc::Server server(*loop, {},
                       [&gate](const ttrpc::ServerCall& call, const ttrpc::Responder& responder) {
                         gate.Handle(call, responder);
                       });
  RETURN_IF_ERROR(server.Serve(std::move(listener)));
  return loop->Run();
}

}  // namespace
}  // namespace bulwark

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  bulwark::Options options;
  if (!bulwark::ParseOptions(argc, argv, &options)) {
    fprintf(stderr,
            "usage: fake_gate --socket PATH [--deny-create TEXT] [--deny-exec TEXT] [--delay-ms N] "
            "[--no-answer]\n");
    return 2;
  }
  const auto status = bulwark::Run(options);
  if (!status) fprintf(stderr, "fake_gate: %s\n", status.error().message().c_str());
  return status ? 0 : 1;
}
