#include "plugin/api/node_service.h"

#include <utility>

namespace bulwark::api {
namespace {

class NodeService final : public v1::Node::Service {
 public:
  explicit NodeService(NodeFunctions functions) : functions_(std::move(functions)) {}

  grpc::Status Status(grpc::ServerContext*, const v1::StatusRequest*, v1::StatusResponse* response) override {
    *response = functions_.status();
    return grpc::Status::OK;
  }

  grpc::Status Reload(grpc::ServerContext*, const v1::ReloadRequest*, v1::ReloadResponse* response) override {
    *response = functions_.reload();
    return grpc::Status::OK;
  }

 private:
  const NodeFunctions functions_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeNodeService(NodeFunctions functions) {
  return std::make_unique<NodeService>(std::move(functions));
}

}  // namespace bulwark::api
