// The `start` command: containerd runs it in the bundle directory and reads the address of the shim
// from its stdout. Finds the container's group; if a shim of that group answers, prints its
// address; else binds the socket, starts this binary again as the serving process with the
// listening socket as descriptor 3, and prints the new address. Leaves file `address` in the
// bundle. Prints nothing else: containerd reads stdout and stderr as one.
//
// Works with containerd 1.6 to 2.4: takes both forms of stdin (an Any of options; BootstrapParams
// since 2.3) and answers with the plain address, which every version understands as task API
// version 2 over ttrpc. (containerd pkg/shim/shim.go, cmd/containerd-shim-runc-v2/manager.)
#pragma once

#include <string>
#include <string_view>

#include "lib/base/result.h"
#include "shim/command/args.h"

namespace bulwark::shim {

inline constexpr int kListenerFd = 3;  // where the serving process finds its socket
// ConnectResponse.version of our shim, by which `start` tells it from a stock shim at the same
// socket path.
inline constexpr char kShimVersion[] = "bulwark/v2";
inline constexpr char kDefaultSocketDirectory[] = "/run/containerd/s";

// What stdin said.
struct StartInput {
  std::string shim_cgroup;  // from the runtime options; empty: leave the shim where containerd is
  std::string socket_directory;  // from BootstrapParams; empty: not given
  bool is_debug = false;         // BootstrapParams asks for debug or trace
};
// Reads either form. BootstrapParams are recognised by their instance_id and namespace being those
// of the command line: the two forms look alike on the wire otherwise. Empty input is fine.
// kInvalidArgument if it is neither.
base::Result<StartInput> ParseStartInput(std::string_view bytes, const Args& args);

// <directory>/<SHA-256 of "address/namespace/group">, as upstream names it, so that tools and tests
// find it.
std::string SocketPath(const std::string& directory, const Args& args, std::string_view group);

// Does everything but print: returns the address, "unix://<path>". `input` is what stdin said in
// full. The current directory must be the bundle.
base::Result<std::string> Start(const Args& args, std::string_view input);

// The command: reads stdin (at most 10 MiB), starts, prints the address, or one line on stderr.
// Returns the exit status.
int RunStart(const Args& args);

}  // namespace bulwark::shim
