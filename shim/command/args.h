// The shim's command line, as containerd writes it: Go-style flags ("-x v", "-x=v", "--x v", "-x"),
// then at most one action. Pure. (containerd pkg/shim/shim.go; Go's flag package for the syntax.)
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"

namespace bulwark::shim {

enum class Action { kServe, kStart, kDelete };

struct Args {
  std::string program;               // argv[0]
  std::string containerd_namespace;  // -namespace
  std::string id;                    // -id: the container
  std::string address;               // -address: containerd's gRPC socket
  std::string publish_binary;        // -publish-binary: accepted, unused
  std::string bundle;                // -bundle: only given for delete
  std::string socket;                // -socket: serve here instead of on descriptor 3
  bool is_debug = false;             // -debug
  bool show_version = false;         // -v, -version
  bool show_info = false;            // -info
  Action action = Action::kServe;
  // Flags that were not understood and were ignored, for the caller to log where logging is allowed
  // (never in `start`).
  std::vector<std::string> unknown_flags;
};

// kInvalidArgument: a flag without its value, a bad boolean, an unknown action, an empty namespace
// (unless only -v, -version or -info is asked for), a namespace or id that is not a containerd
// identifier, a start or delete without an id.
base::Result<Args> ParseArgs(int argc, const char* const* argv);

// containerd's identifiers: at most 76 characters, [A-Za-z0-9]+([._-][A-Za-z0-9]+)*.
bool IsIdentifier(std::string_view text);

}  // namespace bulwark::shim
