#include "plugin/containerd/client.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <utility>

#include "containerd/services/containers.grpc.pb.h"
#include "containerd/services/content.grpc.pb.h"
#include "containerd/services/images.grpc.pb.h"
#include "containerd/services/snapshots.grpc.pb.h"
#include "containerd/services/version.grpc.pb.h"
#include "lib/oci/digest.h"

namespace bulwark::containerd {
namespace {

namespace containers = ::containerd::services::containers::v1;
namespace content = ::containerd::services::content::v1;
namespace images = ::containerd::services::images::v1;
namespace snapshots = ::containerd::services::snapshots::v1;
namespace version = ::containerd::services::version::v1;

using base::Code;
using base::Error;

constexpr size_t kCachedBlobsBytesMax = size_t{16} << 20;
constexpr size_t kCachedBlobBytesMax = size_t{256} << 10;

Error FromGrpc(const grpc::Status& status, const std::string& attempted) {
  return Error::Make(static_cast<Code>(status.error_code()), "{}: {}", attempted, status.error_message());
}

}  // namespace

struct Client::Stubs {
  explicit Stubs(const std::shared_ptr<grpc::Channel>& channel)
      : containers(containers::Containers::NewStub(channel)),
        content(content::Content::NewStub(channel)),
        images(images::Images::NewStub(channel)),
        snapshots(snapshots::Snapshots::NewStub(channel)),
        version(version::Version::NewStub(channel)) {}

  std::unique_ptr<containers::Containers::Stub> containers;
  std::unique_ptr<content::Content::Stub> content;
  std::unique_ptr<images::Images::Stub> images;
  std::unique_ptr<snapshots::Snapshots::Stub> snapshots;
  std::unique_ptr<version::Version::Stub> version;
};

namespace {

// Deadline and namespace of one call.
class CallContext {
 public:
  CallContext(const std::string& ns, int64_t deadline_ms) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(deadline_ms));
    if (!ns.empty()) context_.AddMetadata("containerd-namespace", ns);
  }
  grpc::ClientContext* get() { return &context_; }

 private:
  grpc::ClientContext context_;
};

std::shared_ptr<grpc::Channel> OpenChannel(const std::string& address) {
  grpc::ChannelArguments arguments;
  // containerd may be restarted at any time: come back within a second, not after gRPC's two minutes.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel("unix:" + address, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

Client::Client(const std::string& address, int64_t deadline_ms)
    : stubs_(std::make_unique<Stubs>(OpenChannel(address))), deadline_ms_(deadline_ms) {}

Client::~Client() = default;

base::Result<ContainerRecord> Client::GetContainer(const std::string& ns, const std::string& id) {
  CallContext context(ns, deadline_ms_);
  containers::GetContainerRequest request;
  request.set_id(id);
  containers::GetContainerResponse response;
  const grpc::Status status = stubs_->containers->Get(context.get(), request, &response);
  if (!status.ok()) return FromGrpc(status, fmt::format("read container {} in containerd namespace {}", id, ns));
  const containers::Container& container = response.container();
  return ContainerRecord{container.id(), container.image(), container.snapshotter(), container.snapshot_key()};
}

base::Result<BlobDescriptor> Client::GetImage(const std::string& ns, const std::string& name) {
  CallContext context(ns, deadline_ms_);
  images::GetImageRequest request;
  request.set_name(name);
  images::GetImageResponse response;
  const grpc::Status status = stubs_->images->Get(context.get(), request, &response);
  if (!status.ok()) return FromGrpc(status, fmt::format("read image {} in containerd namespace {}", name, ns));
  const auto& target = response.image().target();
  return BlobDescriptor{target.media_type(), target.digest(), target.size()};
}

base::Result<SnapshotInfo> Client::StatSnapshot(const std::string& ns, const std::string& snapshotter,
                                                const std::string& key) {
  CallContext context(ns, deadline_ms_);
  snapshots::StatSnapshotRequest request;
  request.set_snapshotter(snapshotter);
  request.set_key(key);
  snapshots::StatSnapshotResponse response;
  const grpc::Status status = stubs_->snapshots->Stat(context.get(), request, &response);
  if (!status.ok()) return FromGrpc(status, fmt::format("read snapshot {} of snapshotter {}", key, snapshotter));
  return SnapshotInfo{response.info().name(), response.info().parent(), response.info().kind() == snapshots::ACTIVE};
}

base::Result<std::vector<Mount>> Client::SnapshotMounts(const std::string& ns, const std::string& snapshotter,
                                                        const std::string& key) {
  CallContext context(ns, deadline_ms_);
  snapshots::MountsRequest request;
  request.set_snapshotter(snapshotter);
  request.set_key(key);
  snapshots::MountsResponse response;
  const grpc::Status status = stubs_->snapshots->Mounts(context.get(), request, &response);
  if (!status.ok()) return FromGrpc(status, fmt::format("read mounts of snapshot {} of snapshotter {}", key, snapshotter));
  std::vector<Mount> mounts;
  for (const auto& mount : response.mounts()) {
    mounts.push_back({mount.type(), mount.source(), mount.target(), {mount.options().begin(), mount.options().end()}});
  }
  return mounts;
}

base::Result<std::string> Client::ReadBlob(const std::string& ns, const std::string& digest, size_t max_bytes) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = by_digest_.find(digest); found != by_digest_.end()) {
      blobs_.splice(blobs_.begin(), blobs_, found->second);
      if (blobs_.front().second.size() > max_bytes) {
        return Error::Make(Code::kResourceExhausted, "read blob {}: larger than {} bytes", digest, max_bytes);
      }
      return blobs_.front().second;
    }
  }
  CallContext context(ns, deadline_ms_);
  content::ReadContentRequest request;
  request.set_digest(digest);
  auto reader = stubs_->content->Read(context.get(), request);
  std::string bytes;
  content::ReadContentResponse chunk;
  while (reader->Read(&chunk)) {
    if (bytes.size() + chunk.data().size() > max_bytes) {
      context.get()->TryCancel();
      return Error::Make(Code::kResourceExhausted, "read blob {}: larger than {} bytes", digest, max_bytes);
    }
    bytes += chunk.data();
  }
  const grpc::Status status = reader->Finish();
  if (!status.ok()) return FromGrpc(status, fmt::format("read blob {}", digest));
  RETURN_IF_ERROR(oci::VerifyDigest(bytes, digest));
  Remember(digest, bytes);
  return bytes;
}

void Client::Remember(const std::string& key, const std::string& bytes) {
  if (bytes.size() > kCachedBlobBytesMax) return;
  const std::lock_guard lock(mutex_);
  if (by_digest_.contains(key)) return;
  blobs_.emplace_front(key, bytes);
  by_digest_[key] = blobs_.begin();
  blob_bytes_ += bytes.size();
  while (blob_bytes_ > kCachedBlobsBytesMax) {
    blob_bytes_ -= blobs_.back().second.size();
    by_digest_.erase(blobs_.back().first);
    blobs_.pop_back();
  }
}

base::Result<std::string> Client::Version() {
  CallContext context("", deadline_ms_);
  google::protobuf::Empty request;
  version::VersionResponse response;
  const grpc::Status status = stubs_->version->Version(context.get(), request, &response);
  if (!status.ok()) return FromGrpc(status, "ask containerd for its version");
  return response.version();
}

}  // namespace bulwark::containerd
