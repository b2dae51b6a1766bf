// Fuzzes what reads segment bytes. The first byte chooses: a frame, a header, or a whole segment
// file behind a header that is made valid, so that the fuzzer gets past the checksum.
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "plugin/audit/audit_log.h"
#include "plugin/audit/log_reader.h"
#include "plugin/audit/segment_format.h"
#include "plugin/audit/segment_scanner.h"
#include "plugin/audit/verify.h"

namespace {

using bulwark::audit::LogReader;
using bulwark::audit::SegmentHeader;

// One directory per process, with room for one segment.
const std::string& Directory() {
  static const std::string* directory = [] {
    char name[] = "/tmp/bulwark-fuzz-XXXXXX";
    BULWARK_CHECK(mkdtemp(name) != nullptr);
    atexit([] {
      unlink((Directory() + "/" + bulwark::audit::SegmentFileName(1, 1)).c_str());
      rmdir(Directory().c_str());
    });
    return new std::string(name);
  }();
  return *directory;
}

void WriteSegment(std::string_view body) {
  SegmentHeader header;
  header.segment_bytes = bulwark::audit::kSegmentHeaderBytes + body.size();
  std::string bytes = bulwark::audit::EncodeSegmentHeader(header);
  bytes += body;
  const std::string path = Directory() + "/" + bulwark::audit::SegmentFileName(1, 1);
  FILE* file = fopen(path.c_str(), "we");
  BULWARK_CHECK(file != nullptr);
  BULWARK_CHECK(fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size());
  fclose(file);
}

void ReadSegment(std::string_view body) {
  WriteSegment(body);
  const auto verified = bulwark::audit::Verify(Directory(), std::nullopt);
  BULWARK_CHECK(verified.has_value());
  auto reader = LogReader::Open(Directory(), {}, nullptr);
  if (!reader) return;
  uint64_t records = 0;
  for (;;) {
    auto next = (*reader)->Next();
    if (!next || !*next) break;
    ++records;
  }
  // Whatever the chain covers can be read, unless it is not a record at all.
  BULWARK_CHECK(records <= verified->records || verified->code != bulwark::audit::VerifyCode::kOk);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 3 == 0) {
    const auto frame = bulwark::audit::DecodeFrame(input);
    if (frame) BULWARK_CHECK(frame->frame_bytes <= input.size() && !frame->records.empty());
  } else if (data[0] % 3 == 1) {
    const auto header = bulwark::audit::DecodeSegmentHeader(input);
    if (header) BULWARK_CHECK(header->first_sequence > 0);
    bulwark::audit::ParseSegmentFileName(input);
  } else {
    ReadSegment(input);
  }
  return 0;
}
