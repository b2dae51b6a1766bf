#include "plugin/api/api_server.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/server_posix.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <chrono>

#include "lib/base/logging.h"
#include "lib/base/unix_socket.h"
#include "plugin/api/peer.h"

namespace bulwark::api {
namespace {

constexpr int kMessageBytesMax = 4 << 20;
constexpr int64_t kAcceptPauseMs = 100;  // when no descriptors are left
constexpr std::chrono::milliseconds kGrace(500);  // for streams that follow the log, when the daemon ends

}  // namespace

base::Result<std::unique_ptr<ApiServer>> ApiServer::Start(const std::string& socket_path,
                                                          const std::vector<grpc::Service*>& services,
                                                          audit::Recorder& recorder) {
  std::unique_ptr<ApiServer> api(new ApiServer());
  api->socket_path_ = socket_path;
  api->recorder_ = &recorder;
  ASSIGN_OR_RETURN(api->listener_, base::ListenUnix(socket_path, 0600));
  ASSIGN_OR_RETURN(api->loop_, base::EventLoop::Create());
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(kMessageBytesMax);
  // One polling thread is enough for a command line; every thread costs the node memory.
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 1);
  for (grpc::Service* service : services) builder.RegisterService(service);
  api->server_ = builder.BuildAndStart();
  if (!api->server_) return base::Error(base::Code::kInternal, "start the gRPC server");
  RETURN_IF_ERROR(api->WatchListener());
  api->thread_ = std::thread([self = api.get()] {
    if (auto status = self->loop_->Run(); !status) {
      base::LogError("the API's loop failed", {{"error", status.error().message()}});
    }
  });
  return api;
}

ApiServer::~ApiServer() {
  if (thread_.joinable()) {
    loop_->Stop();
    thread_.join();
  }
  if (server_) server_->Shutdown(std::chrono::system_clock::now() + kGrace);
  if (listener_.is_open()) unlink(socket_path_.c_str());
}

base::Status ApiServer::WatchListener() {
  return loop_->Watch(listener_.get(), EPOLLIN, [this](uint32_t) { Accept(); });
}

// The connection that could not be accepted keeps the listener readable: without a pause the loop would spin.
void ApiServer::PauseAccepting() {
  loop_->Unwatch(listener_.get());
  loop_->AddTimer(kAcceptPauseMs, [this] {
    if (!WatchListener()) PauseAccepting();
  });
}

void ApiServer::Accept() {
  auto connection = base::AcceptUnix(listener_.get());
  if (!connection) {
    if (connection.error().code() != base::Code::kUnavailable) PauseAccepting();
    return;
  }
  const auto peer = base::PeerOf(connection->get());
  if (!peer || !MayUseSockets(*peer)) {
    if (peer) RecordRefusedPeer(*recorder_, socket_path_, *peer);
    return;
  }
  grpc::AddInsecureChannelFromFd(server_.get(), connection->Release());
}

}  // namespace bulwark::api
