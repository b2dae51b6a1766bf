// Safe reading of an OCI image layout (image-layout.md): every blob is hashed, nothing outside the layout is opened,
// symbolic links are refused. Blocks; one Layout is for one thread.
#pragma once

#include <stddef.h>

#include <string>

#include "lib/base/result.h"
#include "lib/base/unique_fd.h"
#include "lib/oci/image_identity.h"
#include "lib/oci/manifest.h"

namespace bulwark::evidence {

class Layout {
 public:
  // kNotFound if `path` is no layout; kInvalidArgument if oci-layout or index.json is malformed.
  static base::Result<Layout> Open(const std::string& path);
  // The same of a directory that is open already; `path` is for messages.
  static base::Result<Layout> OpenAt(base::UniqueFd directory, const std::string& path);

  const std::string& path() const { return path_; }
  const oci::ImageIndex& index() const { return index_; }

  // kDataLoss if the bytes do not hash to `digest`, kNotFound if there is no such blob.
  base::Result<std::string> ReadBlob(const std::string& digest, size_t max_bytes) const;

  // What `name` (an org.opencontainers.image.ref.name annotation, a full reference or its tag, or a digest in index.json)
  // is, for this machine's platform. With a single image in the layout, `name` may be empty. Every blob on the way must
  // have the digest and the size its descriptor says, and the manifest as many layers as the config. kNotFound if there
  // is no such image, kInvalidArgument if a blob is malformed or the name stands for several, kDataLoss as ReadBlob.
  base::Result<oci::ImageIdentity> ResolveImage(const std::string& name) const;

 private:
  Layout() = default;

  std::string path_;
  base::UniqueFd directory_;
  oci::ImageIndex index_;
};

}  // namespace bulwark::evidence
