// The format of journal files: lifecycle events which the daemon has not acknowledged yet. The shim
// appends to one in the bundle directory and, at its end, leaves what is undelivered in the spool
// directory; the daemon reads the latter. Pure: bytes in, values out.
//
//   file   = magic record*
//   magic  = "BWJRNL1\n"
//   record = length (u32, little endian) checksum (u32, little endian) payload
//
// `length` counts the payload, 1 to kRecordBytesMax. `checksum` is CRC-32C (RFC 3720, appendix B.4)
// of the four length bytes and the payload. The payload is a serialised bulwark.v1.LifecycleEvent.
// An empty file is a journal without events. A writer that dies leaves at most one torn record at
// the end; reading stops there. Events may occur again in another journal or may have been reported
// already: (source_id, source_seq) identifies an event for ever.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <string>
#include <string_view>
#include <vector>

#include "bulwark/v1/gate.pb.h"
#include "lib/base/result.h"

namespace bulwark::journal {

inline constexpr std::string_view kMagic = "BWJRNL1\n";
inline constexpr size_t kRecordHeaderBytes = 8;
inline constexpr size_t kRecordBytesMax = 64 * 1024;
// Writers stop here, readers refuse more.
inline constexpr size_t kJournalBytesMax = 16 * 1024 * 1024;

// CRC-32C of `bytes`; pass the result of a previous call to go on.
uint32_t Crc32c(std::string_view bytes, uint32_t previous = 0);

// One record. kResourceExhausted if the event is larger than kRecordBytesMax, kInvalidArgument if
// it has no content.
base::Result<std::string> EncodeRecord(const v1::LifecycleEvent& event);

struct RecordHeader {
  uint32_t length = 0;
  uint32_t checksum = 0;
};
// Reads the first kRecordHeaderBytes of `bytes`. kDataLoss if they are cut short or the length is
// out of bounds.
base::Result<RecordHeader> DecodeRecordHeader(std::string_view bytes);
// kDataLoss if the checksum does not match or the payload is not a LifecycleEvent.
base::Result<v1::LifecycleEvent> DecodeRecordPayload(const RecordHeader& header,
                                                     std::string_view payload);

struct DecodedJournal {
  std::vector<v1::LifecycleEvent> events;  // in file order
  size_t valid_bytes = 0;                  // up to the end of the last good record
  size_t torn_bytes = 0;                   // what follows it and could not be read
  // What follows is not just the beginning of one record, which is what a writer that dies leaves:
  // there may be whole records behind the damage, so the file must not be thrown away.
  bool is_damaged = false;
};
// Decodes a whole file. A torn or damaged tail is no error: everything before it is returned.
// kInvalidArgument if the file does not begin with the magic (a proper prefix of it is a torn,
// empty journal), kResourceExhausted if it is larger than kJournalBytesMax.
base::Result<DecodedJournal> DecodeJournal(std::string_view bytes);

// Reads and decodes a file; blocks. Also kNotFound and the errors of base::ReadFile.
base::Result<DecodedJournal> ReadJournal(const std::string& path);

// Renames a file that cannot be read whole to "<path>.bad", or "<path>.bad.2" and so on if that is
// taken, so that nothing is lost and nothing is tried for ever. Returns the new path. Blocks.
base::Result<std::string> SetAside(const std::string& path);

}  // namespace bulwark::journal
