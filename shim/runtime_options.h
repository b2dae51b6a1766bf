// The options of a Create request: which OCI runtime runs the container, and where it keeps its
// state. containerd sends them as an Any, either containerd.runc.v1.Options (every
// runc.v2-compatible client) or runtimeoptions.v1.Options, whose TOML body carries the same keys
// (CRI, for runtime types that it does not know). Also: the files `options.json` and `runtime` in
// the bundle, from which a `delete` command, ours or the stock shim's, finds the runtime again.
#pragma once

#include <string>
#include <string_view>

#include "containerd/runc_options.pb.h"
#include "containerd/wire.pb.h"
#include "lib/base/result.h"

namespace bulwark::shim {

// An empty type_url gives the defaults. kInvalidArgument for bytes that do not parse, an unknown
// type, an unknown or malformed key of a TOML body.
base::Result<containerd::runc::Options> ParseRuntimeOptions(const containerd::wire::Any& any);

// Parses the flat TOML table that containerd's CRI plugin makes from the `options` of a runtime
// handler. Accepts the keys of containerd.runc.v1.Options by their Go names, in any case; booleans,
// integers, basic and literal strings, comments and blank lines. Everything else is
// kInvalidArgument naming the line.
base::Result<containerd::runc::Options> ParseTomlOptions(std::string_view toml);

// The content of options.json: Go's JSON form of the message, snake_case names, empty fields left
// out.
std::string OptionsJson(const containerd::runc::Options& options);

// "runc" unless the options name another.
std::string RuntimeBinary(const containerd::runc::Options& options);

// The runtime's --root: options.root or /run/containerd/runc, then "/" and the containerd
// namespace.
std::string RuntimeRoot(const containerd::runc::Options& options,
                        std::string_view containerd_namespace);

}  // namespace bulwark::shim
