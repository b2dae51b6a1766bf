// Signatures that lie beside the image in containerd's content store: cosign's tag scheme, imported or pulled together
// with the image as "<repository>:sha256-<hex>.sig" in the same containerd namespace. Thread-safe; blocks on containerd.
#pragma once

#include <string>

#include "lib/oci/image_identity.h"
#include "plugin/containerd/client.h"
#include "plugin/trust/verification.h"

namespace bulwark::admission {

class ContentSignatures {
 public:
  explicit ContentSignatures(containerd::Client& client) : client_(client) {}

  // Appends to `evidence`. Absence is no problem; a store that cannot be asked is one.
  void Find(const std::string& containerd_namespace, const oci::ImageIdentity& image, trust::SignatureEvidence& evidence);

 private:
  containerd::Client& client_;
};

}  // namespace bulwark::admission
