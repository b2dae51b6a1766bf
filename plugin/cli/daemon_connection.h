// Talking to bulwarkd, and what to tell the user when that fails.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "bulwark/v1/api.grpc.pb.h"
#include "plugin/cli/commands.h"

namespace bulwark::cli {

std::shared_ptr<grpc::Channel> Connect(const Context& context);

// For one answer that comes at once: 10 seconds.
void SetDeadline(grpc::ClientContext& call);

// Prints what failed and what to do about it on stderr; returns the exit status.
int ReportFailure(const Context& context, const std::string& attempted, const grpc::Status& status);

// A message as JSON with the field names of the .proto file after "schema_version", on stdout: one line, or indented.
void PrintJson(const google::protobuf::Message& message, bool indented);

// Version of every JSON document of bulwarkctl that is not an audit record. Members are only added within a version.
inline constexpr int kJsonSchemaVersion = 1;

}  // namespace bulwark::cli
