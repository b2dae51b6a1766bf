// Plain data: what an image is, by content. Every digest in here was computed by us from the bytes it names.
#pragma once

#include <string>
#include <vector>

namespace bulwark::oci {

struct ImageIdentity {
  std::string reference;         // canonical, e.g. "docker.io/library/busybox:1.36"; may be empty (digest only)
  std::string index_digest;      // of the image index that lists the manifest; empty if the reference names a manifest
  std::string manifest_digest;   // platform manifest
  std::string config_digest;     // image config
  std::string chain_id;          // of the config's rootfs.diff_ids (OCI image-spec, config.md, "Layer ChainID")
  std::vector<std::string> diff_ids;
  std::string os;
  std::string architecture;
};

}  // namespace bulwark::oci
