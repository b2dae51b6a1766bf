// `-info`: what this runtime can do, as containerd 2.x asks for each runtime handler
// (containerd.types.RuntimeInfo), and
// `-v`: the version for people.
#pragma once

#include <string>
#include <string_view>

#include "lib/base/result.h"
#include "shim/command/args.h"

namespace bulwark::shim {

inline constexpr char kRuntimeName[] = "io.containerd.bulwark.v2";

// `input` is stdin: a serialised Any of runtime options, or nothing. Runs `<runtime> features` and
// passes its JSON on; a runtime without that command leaves it out. kNotFound if the runtime binary
// does not exist, kInvalidArgument for input that is not an Any. Returns a serialised RuntimeInfo.
// Blocks at most 3 s.
base::Result<std::string> RuntimeInfo(std::string_view input);

// The commands. They return the exit status.
int RunInfo(const Args& args);
int RunVersion(const Args& args);

}  // namespace bulwark::shim
