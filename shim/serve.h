// The serving process: what `start` leaves running. Builds every object of the shim, connects them,
// runs the loop until a Shutdown with no container left, or SIGTERM or SIGINT (containers then live
// on). The only place that knows all parts.
//
// Expects: the listening socket as descriptor 3 (or -socket), the current directory to be the
// bundle of the first container, with containerd's fifo `log` in it, TTRPC_ADDRESS in the
// environment.
#pragma once

#include "shim/command/args.h"

namespace bulwark::shim {

// Returns the exit status of the process.
int Serve(const Args& args);

}  // namespace bulwark::shim
