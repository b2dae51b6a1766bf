// Finds out what a container will really run, by content and never by name (docs/design/life-of-a-container.md).
//
// Two chains must meet. From the container: its record → its snapshot → the snapshot's parent, whose name is the chain ID
// of the image layers it stands on. From the name: the image record → index → platform manifest → config → diff IDs →
// chain ID. And the mounts that the shim was asked to make must be those of the snapshot. Every blob on the way is hashed.
//
// What this trusts: containerd's answers, and its convention that committed layers are named by their chain ID. Layer
// contents are not hashed again; whoever can write to containerd's root directory is root.
#pragma once

#include <string>
#include <vector>

#include "lib/oci/image_identity.h"
#include "plugin/containerd/client.h"
#include "plugin/policy/decision.h"

namespace bulwark::admission {

struct ResolvedIdentity {
  policy::ReasonStep step;        // check "identity"; if it is not satisfied, `image` holds what was found out until then
  oci::ImageIdentity image;
};

class IdentityResolver {
 public:
  explicit IdentityResolver(containerd::Client& client) : client_(client) {}

  // For Create: the container's record and the mounts of the request. Blocks on containerd. Thread-safe.
  ResolvedIdentity ResolveContainer(const std::string& ns, const std::string& container_id,
                                    const std::vector<containerd::Mount>& rootfs);
  // For a dry run: what the name points at now, on this machine's platform. Blocks on containerd. Thread-safe.
  ResolvedIdentity ResolveImage(const std::string& ns, const std::string& name);

 private:
  // `expected_chain_id` picks among several runnable manifests; empty: the best one for the platform.
  ResolvedIdentity ResolveName(const std::string& ns, const std::string& name, const std::string& expected_chain_id);

  containerd::Client& client_;
};

}  // namespace bulwark::admission
