#include "shim/command/info.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "containerd/runc_options.pb.h"
#include "containerd/wire.pb.h"
#include "lib/base/file_io.h"
#include "lib/base/spawn.h"
#include "lib/base/unique_fd.h"
#include "shim/runtime_options.h"

namespace bulwark::shim {
namespace {

using base::Code;
using base::Error;

constexpr size_t kInputBytesMax = 10 * 1024 * 1024;
constexpr size_t kFeaturesBytesMax = 1024 * 1024;
constexpr int kFeaturesTimeoutMs = 3'000;
constexpr std::string_view kFeaturesType =
    "types.containerd.io/opencontainers/runtime-spec/1/features/Features";

// A length-delimited protobuf field. containerd.types.RuntimeInfo is written by hand: five fields,
// written only here.
void AppendField(int number, std::string_view bytes, std::string& out) {
  out.push_back(static_cast<char>(number << 3 | 2));
  size_t length = bytes.size();
  for (; length >= 0x80; length >>= 7) out.push_back(static_cast<char>((length & 0x7f) | 0x80));
  out.push_back(static_cast<char>(length));
  out += bytes;
}

// The runtime's own description of what it can do; empty if it has no such command.
base::Result<std::string> Features(const std::string& binary) {
  base::SpawnOptions spawn;
  spawn.argv = {binary, "features"};
  // A warning on stderr is no part of the JSON.
  const base::UniqueFd nowhere(open("/dev/null", O_WRONLY | O_CLOEXEC));
  if (!nowhere.is_open()) return Error::FromErrno("open /dev/null");
  spawn.descriptors.emplace_back(nowhere.get(), STDERR_FILENO);
  ASSIGN_OR_RETURN(const base::CapturedOutput done,
                   base::RunCommand(std::move(spawn), {}, kFeaturesBytesMax, kFeaturesTimeoutMs));
  if (done.exit_status != 0 || !nlohmann::json::accept(done.output)) return std::string();
  return done.output;
}

}  // namespace

base::Result<std::string> RuntimeInfo(std::string_view input) {
  containerd::wire::Any any;
  if (!any.ParseFromArray(input.data(), static_cast<int>(input.size()))) {
    return Error(Code::kInvalidArgument, "read runtime options: not an Any");
  }
  ASSIGN_OR_RETURN(const containerd::runc::Options options, ParseRuntimeOptions(any));
  auto features = Features(RuntimeBinary(options));
  if (!features && features.error().code() != Code::kDeadlineExceeded)
    return std::move(features).error();

  std::string info;
  AppendField(1, kRuntimeName, info);
  std::string version;
  AppendField(1, BULWARK_VERSION, version);
  AppendField(2, version, info);
  if (!input.empty()) AppendField(3, input, info);
  if (features && !features->empty()) {
    containerd::wire::Any described;
    described.set_type_url(std::string(kFeaturesType));
    described.set_value(*std::move(features));
    AppendField(4, described.SerializeAsString(), info);
  }
  return info;
}

int RunInfo(const Args&) {
  // By hand, on a terminal, nobody means to type protobuf.
  auto input = isatty(STDIN_FILENO) != 0 ? base::Result<std::string>(std::string())
                                         : base::ReadAll(STDIN_FILENO, kInputBytesMax);
  auto info = input ? RuntimeInfo(*input) : base::Result<std::string>(std::move(input).error());
  if (!info) {
    fprintf(stderr, "runtime info: %s\n", info.error().message().c_str());
    return EXIT_FAILURE;
  }
  return base::WriteAll(STDOUT_FILENO, *info) ? EXIT_SUCCESS : EXIT_FAILURE;
}

int RunVersion(const Args& args) {
  const std::string_view program = args.program;
  const std::string name(program.substr(program.rfind('/') + 1));  // npos + 1 is 0
  printf("%s:\n  Version:  %s\n  Runtime:  %s\n", name.c_str(), BULWARK_VERSION, kRuntimeName);
  return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace bulwark::shim
