// A shim reduced to its commands, for the tests of `start` and `delete`: what `start` leaves
// running answers Connect and ends on Shutdown. BULWARK_TEST_SHIM_VERSION replaces the version it
// gives, to play another runtime's shim.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "containerd/task.pb.h"
#include "lib/base/event_loop.h"
#include "lib/ttrpc/server.h"
#include "shim/command/args.h"
#include "shim/command/delete.h"
#include "shim/command/info.h"
#include "shim/command/start.h"

namespace bulwark::shim {
namespace {

int Serve() {
  auto loop = base::EventLoop::Create();
  if (!loop) return 1;
  const char* version = getenv("BULWARK_TEST_SHIM_VERSION");
  ttrpc::Server* serving = nullptr;
  ttrpc::Server server(**loop, {},
                       [&](const ttrpc::ServerCall& call, const ttrpc::Responder& responder) {
                         containerd::task::ConnectResponse response;
                         response.set_shim_pid(static_cast<uint32_t>(getpid()));
                         response.set_version(version != nullptr ? version : kShimVersion);
                         responder.Reply(response.SerializeAsString());
                         if (call.method == "Shutdown")
                           serving->FlushThen([&] { (*loop)->Stop(); });
                       });
  serving = &server;
  if (!server.Serve(base::UniqueFd(kListenerFd))) return 1;
  return (*loop)->Run() ? 0 : 1;
}

}  // namespace
}  // namespace bulwark::shim

int main(int argc, char** argv) {
  using namespace bulwark::shim;
  const auto args = ParseArgs(argc, argv);
  if (!args) {
    fprintf(stderr, "%s\n", args.error().message().c_str());
    return 1;
  }
  if (args->show_version) return RunVersion(*args);
  if (args->show_info) return RunInfo(*args);
  if (args->action == Action::kStart) return RunStart(*args);
  if (args->action == Action::kDelete) return RunDelete(*args);
  return Serve();
}
