// Index, manifest and image config. No document may be both an index and a manifest.
#include <stddef.h>
#include <stdint.h>

#include "lib/oci/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bulwark::oci;  // NOLINT(google-build-using-namespace)
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto index = ParseIndex(text);
  const auto manifest = ParseManifest(text);
  BULWARK_CHECK(!(index.has_value() && manifest.has_value()));
  if (index.has_value()) {
    for (const Descriptor& entry : RunnableManifests(*index, HostPlatform())) {
      BULWARK_CHECK(!IsAttestationManifest(entry) && entry.size >= 0);
    }
  }
  const auto config = ParseImageConfig(text);
  BULWARK_CHECK(!config.has_value() || !config->diff_ids.empty());
  return 0;
}
