// Node.Status and Node.Reload of api.proto.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "bulwark/v1/api.grpc.pb.h"
#include "lib/base/result.h"

namespace bulwark::api {

// What the services need from the daemon as a whole. Functions are thread-safe.
struct NodeFunctions {
  std::function<v1::StatusResponse()> status;
  std::function<v1::ReloadResponse()> reload;
};

std::unique_ptr<grpc::Service> MakeNodeService(NodeFunctions functions);

}  // namespace bulwark::api
