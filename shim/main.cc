// containerd-shim-bulwark-v2: containerd runs it with an action (`start`, `delete`) or a question
// (-info, -v); `start` runs it once more, without one, to serve.
#include <stdio.h>

#include "shim/command/args.h"
#include "shim/command/delete.h"
#include "shim/command/info.h"
#include "shim/command/start.h"
#include "shim/serve.h"

int main(int argc, char** argv) {
  using bulwark::shim::Action;
  const auto args = bulwark::shim::ParseArgs(argc, argv);
  if (!args) {
    fprintf(stderr, "%s\n", args.error().message().c_str());
    return 1;
  }
  if (args->show_version) return bulwark::shim::RunVersion(*args);
  if (args->show_info) return bulwark::shim::RunInfo(*args);
  switch (args->action) {
    case Action::kStart:
      return bulwark::shim::RunStart(*args);
    case Action::kDelete:
      return bulwark::shim::RunDelete(*args);
    case Action::kServe:
      return bulwark::shim::Serve(*args);
  }
  return 1;
}
