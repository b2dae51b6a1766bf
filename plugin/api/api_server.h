// The daemon's own API (proto/bulwark/v1/api.proto): gRPC on a root-only unix socket. Connections are accepted here, so
// that the kernel's word on who connects (SO_PEERCRED) is had before gRPC reads a byte.
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/event_loop.h"
#include "lib/base/result.h"
#include "lib/base/unique_fd.h"
#include "plugin/audit/record.h"

namespace grpc {
class Server;
class Service;
}  // namespace grpc

namespace bulwark::api {

class ApiServer {
 public:
  // Serves `services` (not owned) on `socket_path`, mode 0600, until destruction.
  static base::Result<std::unique_ptr<ApiServer>> Start(const std::string& socket_path,
                                                        const std::vector<grpc::Service*>& services,
                                                        audit::Recorder& recorder);
  ~ApiServer();

 private:
  ApiServer() = default;
  base::Status WatchListener();
  void Accept();
  void PauseAccepting();

  std::string socket_path_;
  audit::Recorder* recorder_ = nullptr;
  base::UniqueFd listener_;
  std::unique_ptr<base::EventLoop> loop_;
  std::unique_ptr<grpc::Server> server_;
  std::thread thread_;  // accepts
};

}  // namespace bulwark::api
