// Which containers were admitted, and as what: survives restarts of the daemon, so that an exec into a container that was
// started before is still judged by its image. One SQLite database (state.db, WAL). It is an index, not evidence: the
// audit log is the record.
// Thread-safe; calls block for a local write without fsync: after a power loss the containers are gone as well.
#pragma once

#include <stdint.h>

#include <memory>
#include <mutex>
#include <string>

#include "lib/base/result.h"
#include "lib/oci/image_identity.h"

struct sqlite3;

namespace bulwark::admission {

struct AdmittedContainer {
  std::string containerd_namespace;
  std::string id;
  std::string decision_id;
  oci::ImageIdentity image;
  std::string sandbox_id;
  std::string pod_namespace;
  std::string pod_name;
  std::string pod_uid;
  std::string container_name;
};

class ContainerStore {
 public:
  // Creates the database at `path` (mode 0600) or migrates it. kDataLoss if the file is not such a database or is
  // damaged; kFailedPrecondition if a newer bulwarkd wrote it, which is left as it is; kResourceExhausted (disk full),
  // kUnavailable (locked by another process) and kInternal say nothing against the file.
  static base::Result<std::unique_ptr<ContainerStore>> Open(const std::string& path);
  ~ContainerStore();

  base::Status Put(const AdmittedContainer& container);
  // kNotFound if the container was never admitted or was deleted since.
  base::Result<AdmittedContainer> Get(const std::string& containerd_namespace, const std::string& id);
  // Forgets the container, but only the incarnation that `decision_id` admitted, unless that is empty: a container of
  // the same name may have been admitted since. One that is not there is no error.
  base::Status Remove(const std::string& containerd_namespace, const std::string& id, const std::string& decision_id);

 private:
  explicit ContainerStore(sqlite3* database) : database_(database) {}

  std::mutex mutex_;
  sqlite3* const database_;  // used under mutex_
};

}  // namespace bulwark::admission
