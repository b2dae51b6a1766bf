// config.json is written by containerd from what users ask for. Whatever it holds: the "process"
// text that is found must be a slice of it and, put into a document of its own, must give the same
// facts again.
#include <stdint.h>
#include <stdlib.h>

#include "shim/command/spec_summary.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace shim = bulwark::shim;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto summary = shim::SummarizeSpec(text);
  if (!summary || summary->process_json.empty()) return 0;
  if (text.find(summary->process_json) == std::string_view::npos) abort();
  const auto again = shim::SummarizeSpec("{\"process\":" + summary->process_json + "}");
  if (!again || again->process_json != summary->process_json) abort();
  if (again->uid != summary->uid || again->gid != summary->gid ||
      again->terminal != summary->terminal)
    abort();
  return 0;
}
