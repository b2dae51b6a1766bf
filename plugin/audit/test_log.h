// Helpers for this folder's tests: a scratch directory, small logs in it, and a storage that fails
// on request.
#pragma once

#include <errno.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "plugin/audit/audit_log.h"
#include "plugin/audit/log_reader.h"
#include "plugin/audit/segment_directory.h"
#include "plugin/audit/segment_storage.h"

namespace bulwark::audit {

class ScratchDirectory {
 public:
  ScratchDirectory() {
    char name[] = "/tmp/bulwark-audit-test-XXXXXX";
    const char* made = mkdtemp(name);
    BULWARK_CHECK(made != nullptr);
    path_ = made;
  }
  ~ScratchDirectory() { std::filesystem::remove_all(path_); }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The real storage, except that the calls told to fail do.
class FaultyStorage : public SegmentStorage {
 public:
  base::Result<base::UniqueFd> Create(const std::string& path, uint64_t bytes) override {
    if (create_errno != 0) return base::Error::WithErrno(create_errno, "create " + path);
    return FileSegmentStorage().Create(path, bytes);
  }
  base::Status WriteAt(int fd, std::string_view bytes, uint64_t offset) override {
    if (Take(&failing_writes)) {
      // Half of it arrives, as with a device that goes away.
      const auto half = FileSegmentStorage().WriteAt(fd, bytes.substr(0, bytes.size() / 2), offset);
      if (!half) return half;
      return base::Error::WithErrno(EIO, "write");
    }
    return FileSegmentStorage().WriteAt(fd, bytes, offset);
  }
  base::Status Sync(int fd) override {
    if (Take(&failing_syncs)) return base::Error::WithErrno(EIO, "fdatasync");
    return FileSegmentStorage().Sync(fd);
  }

  std::atomic<int> create_errno{0};
  std::atomic<int> failing_writes{0};
  std::atomic<int> failing_syncs{0};

 private:
  static bool Take(std::atomic<int>* count) {
    int left = count->load();
    while (left > 0) {
      if (count->compare_exchange_weak(left, left - 1)) return true;
    }
    return false;
  }
};

inline AuditLogOptions SmallLog(const std::string& directory) {
  AuditLogOptions options;
  options.directory = directory;
  options.segment_bytes = 64 << 10;
  options.reserve_bytes = 64 << 10;
  return options;
}

inline std::unique_ptr<AuditLog> OpenOrFail(AuditLogOptions options) {
  auto log = AuditLog::Open(std::move(options));
  if (!log) {
    ADD_FAILURE() << log.error().message();
    return nullptr;
  }
  return *std::move(log);
}

inline v1::AuditRecord Decision(const std::string& id) {
  v1::AuditRecord record;
  record.set_event_type(v1::CREATE_DECISION);
  record.set_outcome(v1::DENIED);
  record.set_decision_id(id);
  record.mutable_container()->set_id("container-" + id);
  record.mutable_container()->set_image_reference("registry.example/app:" + id);
  record.set_reason_code("signature.missing");
  record.set_message("image registry.example/app:" + id + " has no signature");
  return record;
}

inline std::vector<StoredRecord> ReadAll(const std::string& directory, ReadOptions options = {}) {
  std::vector<StoredRecord> records;
  auto reader = LogReader::Open(directory, std::move(options), nullptr);
  if (!reader) {
    ADD_FAILURE() << reader.error().message();
    return records;
  }
  for (;;) {
    auto record = (*reader)->Next();
    if (!record) {
      ADD_FAILURE() << record.error().message();
      return records;
    }
    if (!*record) return records;
    records.push_back(**std::move(record));
  }
}

inline std::string ReadBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

inline void WriteBytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

inline std::vector<std::string> SegmentPaths(const std::string& directory) {
  std::vector<std::string> paths;
  auto segments = ListSegments(directory);
  if (!segments) return paths;
  for (const SegmentName& name : *segments) paths.push_back(directory + "/" + name.file_name);
  return paths;
}

}  // namespace bulwark::audit
