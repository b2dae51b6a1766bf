// Journal files are read by the daemon from a directory that shims write to. Whatever they hold,
// decoding accounts for every byte and what it returns can be written and read again.
#include <stdint.h>
#include <stdlib.h>

#include "lib/journal/journal_format.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace journal = bulwark::journal;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto decoded = journal::DecodeJournal(bytes);
  if (!decoded) return 0;
  if (decoded->valid_bytes + decoded->torn_bytes != size) abort();
  std::string again(journal::kMagic);
  size_t written = 0;
  for (const auto& event : decoded->events) {
    const auto record = journal::EncodeRecord(event);
    if (!record)
      continue;  // a payload of nothing but unknown or default fields may shrink to nothing
    again += *record;
    ++written;
  }
  const auto reread = journal::DecodeJournal(again);
  if (!reread || reread->events.size() != written || reread->torn_bytes != 0) abort();
  return 0;
}
