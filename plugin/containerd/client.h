// A client of containerd's gRPC API: the few read-only calls that tell what a container really is. Every call blocks up
// to the deadline given at creation and carries the containerd namespace; nothing here changes anything in containerd.
// Thread-safe.
//
// Errors: kNotFound as containerd says it; kUnavailable when containerd is not there; kDeadlineExceeded; kDataLoss when a
// blob is not what its digest says; kResourceExhausted when it is larger than asked for.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/base/result.h"

namespace bulwark::containerd {

struct ContainerRecord {
  std::string id;
  std::string image;         // a name, which may point elsewhere by now; never identity
  std::string snapshotter;
  std::string snapshot_key;
};

struct BlobDescriptor {
  std::string media_type;
  std::string digest;
  int64_t size = 0;
};

struct SnapshotInfo {
  std::string name;
  std::string parent;
  bool is_active = false;
};

struct Mount {
  std::string type;
  std::string source;
  std::string target;
  std::vector<std::string> options;
};

class Client {
 public:
  // `address` is containerd's gRPC socket path. Connects lazily and reconnects by itself.
  Client(const std::string& address, int64_t deadline_ms);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  base::Result<ContainerRecord> GetContainer(const std::string& ns, const std::string& id);
  base::Result<BlobDescriptor> GetImage(const std::string& ns, const std::string& name);
  base::Result<SnapshotInfo> StatSnapshot(const std::string& ns, const std::string& snapshotter, const std::string& key);
  base::Result<std::vector<Mount>> SnapshotMounts(const std::string& ns, const std::string& snapshotter,
                                                  const std::string& key);
  // The blob's bytes, hashed and compared with `digest`. Small blobs are kept: a digest's bytes never change.
  base::Result<std::string> ReadBlob(const std::string& ns, const std::string& digest, size_t max_bytes);
  base::Result<std::string> Version();

 private:
  struct Stubs;
  void Remember(const std::string& key, const std::string& bytes);

  std::unique_ptr<Stubs> stubs_;
  const int64_t deadline_ms_;

  std::mutex mutex_;
  std::list<std::pair<std::string, std::string>> blobs_;  // most recently used first; guarded by mutex_
  std::unordered_map<std::string, std::list<std::pair<std::string, std::string>>::iterator> by_digest_;  // by mutex_
  size_t blob_bytes_ = 0;                                                                               // by mutex_
};

}  // namespace bulwark::containerd
