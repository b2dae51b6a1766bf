#include "plugin/cli/daemon_connection.h"

#include <google/protobuf/util/json_util.h>
#include <stdio.h>
#include <unistd.h>

#include <chrono>

#include "plugin/cli/reasoning.h"

namespace bulwark::cli {
namespace {

constexpr std::chrono::seconds kDeadline(10);

}  // namespace

std::shared_ptr<grpc::Channel> Connect(const Context& context) {
  return grpc::CreateChannel("unix:" + context.socket, grpc::InsecureChannelCredentials());
}

void SetDeadline(grpc::ClientContext& call) { call.set_deadline(std::chrono::system_clock::now() + kDeadline); }

int ReportFailure(const Context& context, const std::string& attempted, const grpc::Status& status) {
  const bool is_away = status.error_code() == grpc::StatusCode::UNAVAILABLE ||
                       status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
  fprintf(stderr, "bulwarkctl: %s: %s\n", Printable(attempted).c_str(), Printable(status.error_message()).c_str());
  if (is_away && access(context.socket.c_str(), F_OK) != 0) {
    fprintf(stderr, "next: start bulwarkd, or name its socket with --socket (there is none at %s)\n", context.socket.c_str());
  } else if (is_away) {
    fprintf(stderr, "next: see whether bulwarkd runs and whether you are root: only root may use %s\n", context.socket.c_str());
  }
  return is_away ? kExitUnreachable : kExitRefused;
}

void PrintJson(const google::protobuf::Message& message, bool indented) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = indented;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string text;
  static_cast<void>(google::protobuf::util::MessageToJsonString(message, &text, options));
  if (text.empty()) return;
  // The printer writes an object and leaves white space after it.
  while (text.back() == '\n') text.pop_back();
  printf("{%s\"schema_version\":%s%d,%s\n", indented ? "\n " : "", indented ? " " : "", kJsonSchemaVersion,
         text.c_str() + 1);
}

}  // namespace bulwark::cli
