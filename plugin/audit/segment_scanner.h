// Walks the frames of one segment file, for recovery, reading and verification alike. Checks what
// one file can show by itself; sequence numbers and the chain are the caller's.
#pragma once

#include <stdint.h>

#include <optional>
#include <string>

#include "lib/base/result.h"
#include "lib/base/unique_fd.h"
#include "plugin/audit/segment_format.h"

namespace bulwark::audit {

// What lies behind the last whole frame.
struct Tail {
  enum class Kind {
    kClean,   // zeros to the end of the file
    kTorn,    // less than one frame of something: what a crash during a write leaves
    kBroken,  // what no crash leaves: a whole frame after the damage, or damage too far from the
              // end
  };
  Kind kind = Kind::kClean;
  uint64_t bytes = 0;  // from the end of the last whole frame to the last byte that is not zero
  std::string reason;
};

class SegmentScanner {
 public:
  // Reads the header. kNotFound, or kDataLoss when the header is not one. Blocks, as all methods
  // do.
  static base::Result<SegmentScanner> Open(const std::string& directory, const std::string& name);

  const SegmentHeader& header() const { return header_; }
  // Where the next frame begins.
  uint64_t offset() const { return offset_; }

  // The next whole frame (views are valid until the next call); nullopt if none begins at offset(),
  // whatever the reason: see ClassifyTail(). May be called again when the file has grown. Errors
  // are I/O errors.
  base::Result<std::optional<FrameView>> Next();
  // Nothing was written at offset() yet: cheap, looks at one frame header's worth of bytes.
  base::Result<bool> AtZeros();
  // Reads the file to its end and judges it.
  base::Result<Tail> ClassifyTail();

 private:
  SegmentScanner(base::UniqueFd fd, std::string path)
      : fd_(std::move(fd)), path_(std::move(path)) {}
  // Fills buffer_ with up to `bytes` at `offset`; fewer only at the end of the file.
  base::Status ReadAt(uint64_t offset, size_t bytes);

  base::UniqueFd fd_;
  std::string path_;
  SegmentHeader header_;
  uint64_t offset_ = kSegmentHeaderBytes;
  std::string buffer_;
};

}  // namespace bulwark::audit
