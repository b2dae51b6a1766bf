#include "lib/journal/journal_format.h"

#include <errno.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "lib/base/file_io.h"

namespace bulwark::journal {
namespace {

using base::Code;
using base::Error;

// CRC-32C: polynomial 0x1EDC6F41, bits reflected.
constexpr std::array<uint32_t, 256> MakeCrcTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0u);
    table[i] = crc;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kCrcTable = MakeCrcTable();

void AppendLittleEndian(uint32_t value, std::string& out) {
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(value >> shift));
}

uint32_t LoadLittleEndian(std::string_view bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value |= uint32_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
  return value;
}

uint32_t Checksum(uint32_t length, std::string_view payload) {
  std::string length_bytes;
  AppendLittleEndian(length, length_bytes);
  return Crc32c(payload, Crc32c(length_bytes));
}

// Whether `rest`, where no good record begins, is what a writer leaves that dies while it appends
// one record: too short for the length that it begins with, and with no whole record further on,
// which would mean that it is the length that is damaged.
bool IsBeginningOfARecord(std::string_view rest) {
  if (rest.size() < kRecordHeaderBytes) return true;
  const auto header = DecodeRecordHeader(rest);
  if (!header || rest.size() - kRecordHeaderBytes >= header->length) return false;
  // Bytes that look like many record beginnings must not make the search quadratic.
  constexpr size_t kSearchBytesMax = size_t{16} << 20;
  size_t searched = 0;
  for (size_t at = 1; at + kRecordHeaderBytes < rest.size(); ++at) {
    const std::string_view candidate = rest.substr(at);
    const auto found = DecodeRecordHeader(candidate);
    if (!found || candidate.size() - kRecordHeaderBytes < found->length) continue;
    searched += found->length;
    if (searched > kSearchBytesMax) return false;
    const std::string_view payload = candidate.substr(kRecordHeaderBytes, found->length);
    if (DecodeRecordPayload(*found, payload)) return false;
  }
  return true;
}

}  // namespace

uint32_t Crc32c(std::string_view bytes, uint32_t previous) {
  uint32_t crc = ~previous;
  for (const char c : bytes) {
    crc = kCrcTable[(crc ^ static_cast<uint8_t>(c)) & 0xff] ^ (crc >> 8);
  }
  return ~crc;
}

base::Result<std::string> EncodeRecord(const v1::LifecycleEvent& event) {
  const std::string payload = event.SerializeAsString();
  if (payload.empty()) return Error(Code::kInvalidArgument, "encode journal record: empty event");
  if (payload.size() > kRecordBytesMax) {
    return Error::Make(Code::kResourceExhausted,
                       "encode journal record: {} bytes, at most {} allowed", payload.size(),
                       kRecordBytesMax);
  }
  const auto length = static_cast<uint32_t>(payload.size());
  std::string record;
  record.reserve(kRecordHeaderBytes + payload.size());
  AppendLittleEndian(length, record);
  AppendLittleEndian(Checksum(length, payload), record);
  record += payload;
  return record;
}

base::Result<RecordHeader> DecodeRecordHeader(std::string_view bytes) {
  if (bytes.size() < kRecordHeaderBytes) {
    return Error(Code::kDataLoss, "read journal record: header cut short");
  }
  RecordHeader header;
  header.length = LoadLittleEndian(bytes);
  header.checksum = LoadLittleEndian(bytes.substr(4));
  if (header.length == 0 || header.length > kRecordBytesMax) {
    return Error::Make(Code::kDataLoss, "read journal record: impossible length {}", header.length);
  }
  return header;
}

base::Result<v1::LifecycleEvent> DecodeRecordPayload(const RecordHeader& header,
                                                     std::string_view payload) {
  if (payload.size() != header.length || Checksum(header.length, payload) != header.checksum) {
    return Error(Code::kDataLoss, "read journal record: checksum does not match");
  }
  v1::LifecycleEvent event;
  if (!event.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return Error(Code::kDataLoss, "read journal record: not a lifecycle event");
  }
  return event;
}

base::Result<DecodedJournal> DecodeJournal(std::string_view bytes) {
  if (bytes.size() > kJournalBytesMax) {
    return Error::Make(Code::kResourceExhausted, "read journal: {} bytes, at most {} allowed",
                       bytes.size(), kJournalBytesMax);
  }
  DecodedJournal journal;
  if (bytes.size() < kMagic.size()) {
    if (bytes != kMagic.substr(0, bytes.size())) {
      return Error(Code::kInvalidArgument, "read journal: not a journal file");
    }
    journal.torn_bytes = bytes.size();
    return journal;
  }
  if (bytes.substr(0, kMagic.size()) != kMagic) {
    return Error(Code::kInvalidArgument, "read journal: not a journal file");
  }
  journal.valid_bytes = kMagic.size();
  while (journal.valid_bytes < bytes.size()) {
    const std::string_view rest = bytes.substr(journal.valid_bytes);
    const auto header = DecodeRecordHeader(rest);
    if (!header || rest.size() - kRecordHeaderBytes < header->length) break;
    auto event = DecodeRecordPayload(*header, rest.substr(kRecordHeaderBytes, header->length));
    if (!event) break;
    journal.events.push_back(*std::move(event));
    journal.valid_bytes += kRecordHeaderBytes + header->length;
  }
  journal.torn_bytes = bytes.size() - journal.valid_bytes;
  journal.is_damaged =
      journal.torn_bytes > 0 && !IsBeginningOfARecord(bytes.substr(journal.valid_bytes));
  return journal;
}

base::Result<DecodedJournal> ReadJournal(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string bytes, base::ReadFile(path, kJournalBytesMax));
  auto journal = DecodeJournal(bytes);
  if (!journal) return std::move(journal).error().Wrap("journal {}", path);
  return journal;
}

base::Result<std::string> SetAside(const std::string& path) {
  constexpr int kTriesMax = 100;
  for (int i = 1; i <= kTriesMax; ++i) {
    std::string aside = i == 1 ? path + ".bad" : fmt::format("{}.bad.{}", path, i);
    // link(2) refuses to replace, where rename(2) would.
    if (link(path.c_str(), aside.c_str()) == 0) {
      if (unlink(path.c_str()) != 0) return Error::FromErrno("remove {}", path);
      return aside;
    }
    if (errno != EEXIST) return Error::FromErrno("set {} aside as {}", path, aside);
  }
  return Error::Make(Code::kResourceExhausted, "set {} aside: {} files were set aside already",
                     path, kTriesMax);
}

}  // namespace bulwark::journal
