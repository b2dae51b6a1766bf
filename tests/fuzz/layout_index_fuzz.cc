// An OCI layout whose index.json anyone wrote, and whose one blob is the same bytes: reading and resolving never crash
// and nothing outside the layout is read.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <string_view>

#include "lib/base/cleanup.h"
#include "plugin/evidence/evidence_file.h"
#include "plugin/evidence/layout.h"
#include "plugin/evidence/layout_test_support.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace evidence = bulwark::evidence;
  static evidence::TestDirectory directory;
  static evidence::TestLayout made(directory / "layout");
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  evidence::WriteTestFile(made.path() + "/index.json", bytes);
  const evidence::TestBlob blob = made.Add(bytes);
  const bulwark::base::Cleanup remove([&] { unlink(made.BlobPath(blob.digest).c_str()); });
  const auto layout = evidence::Layout::Open(made.path());
  if (!layout) return 0;
  const auto found = ReadSignatures(*layout);
  for (const auto& image : found.images) {
    if (image.found.candidates.empty() && image.found.problems.empty()) abort();
  }
  (void)layout->ResolveImage("");
  (void)layout->ResolveImage("docker.io/library/app:1");
  return 0;
}
