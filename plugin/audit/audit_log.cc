#include "plugin/audit/audit_log.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "lib/base/file_io.h"
#include "plugin/audit/envelope.h"
#include "plugin/audit/log_writer.h"
#include "plugin/audit/recovery.h"
#include "plugin/audit/segment_directory.h"
#include "plugin/audit/segment_pool.h"
#include "plugin/audit/segment_storage.h"

namespace bulwark::audit {
namespace {

using base::Code;
using base::Error;
using base::OkStatus;
using base::Result;
using base::UniqueFd;

struct Pending {
  std::string encoded;
  Lane lane = Lane::kGate;
  Recorder::Callback done;
};

base::Status CheckOptions(const AuditLogOptions& options) {
  if (!IsLogSegmentSize(options.segment_bytes) ||
      (options.reserve_bytes != 0 && !IsLogSegmentSize(options.reserve_bytes))) {
    return Error(Code::kInvalidArgument,
                 "open audit log: segment and reserve sizes must be multiples of 4096 from 64 KiB "
                 "to 512 MiB");
  }
  if (options.batch_records_max == 0 || options.pending_records_max == 0) {
    return Error(Code::kInvalidArgument, "open audit log: batch and queue limits must not be zero");
  }
  return OkStatus();
}

Result<UniqueFd> LockDirectory(const std::string& directory) {
  const std::string path = directory + "/lock";
  UniqueFd lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock.is_open()) return Error::FromErrno("open {}", path);
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return Error::Make(Code::kFailedPrecondition,
                       "lock {}: another process has this audit log open", path);
  }
  return lock;
}

std::string_view PreviousStopName(PreviousStop previous) {
  switch (previous) {
    case PreviousStop::kFirst:
      return "first";
    case PreviousStop::kClean:
      return "clean";
    case PreviousStop::kUnclean:
      return "unclean";
    case PreviousStop::kCorrupt:
      return "corrupt";
  }
  return "unknown";
}

v1::AuditRecord StartRecord(const Recovery& recovery) {
  v1::AuditRecord record;
  record.set_event_type(v1::AUDIT_START);
  record.set_outcome(recovery.previous == PreviousStop::kCorrupt ? v1::ERROR : v1::OBSERVED);
  auto& attributes = *record.mutable_attributes();
  attributes["previous"] = std::string(PreviousStopName(recovery.previous));
  attributes["previous_tail_sequence"] = std::to_string(recovery.previous_tail_sequence);
  attributes["discarded_torn_bytes"] = std::to_string(recovery.discarded_torn_bytes);
  attributes["pid"] = std::to_string(getpid());
  if (!recovery.corruption.empty()) {
    attributes["corruption"] = recovery.corruption;
    record.set_message("the audit log before this record is damaged: " + recovery.corruption);
  }
  return record;
}

}  // namespace

struct AuditLog::Impl {
  explicit Impl(AuditLogOptions log_options) : options(std::move(log_options)) {}

  void Enqueue(v1::AuditRecord record, Lane lane, Callback done);
  void Run();
  std::vector<Pending> TakeBatch(std::unique_lock<std::mutex>* lock);
  void Publish(const std::vector<Result<Receipt>>& results);

  AuditLogOptions options;
  size_t batch_bytes_max = 0;
  Envelope envelope;
  UniqueFd lock_file;
  std::unique_ptr<SegmentPool> pool;
  std::unique_ptr<LogWriter> writer;  // used by `thread` only, once that runs
  std::thread thread;

  std::mutex mutex;
  std::condition_variable work;
  std::deque<Pending> pending;  // guarded by mutex
  size_t queued_records = 0;    // guarded by mutex; in flight included
  size_t queued_bytes = 0;      // guarded by mutex; in flight included
  bool closing = false;         // guarded by mutex

  std::mutex close_mutex;                    // held while closing
  std::optional<base::Status> close_result;  // guarded by close_mutex

  mutable std::mutex head_mutex;
  mutable std::condition_variable head_moved;
  AuditLogStatus status;  // guarded by head_mutex
};

AuditLog::AuditLog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

AuditLog::~AuditLog() {
  // What Close() reports, the last appends reported too.
  const base::Status closed = Close();
  static_cast<void>(closed);
}

Result<std::unique_ptr<AuditLog>> AuditLog::Open(AuditLogOptions options) {
  RETURN_IF_ERROR(CheckOptions(options));
  if (options.node_id_file.empty()) options.node_id_file = options.directory + "/node-id";
  if (options.clock == nullptr) options.clock = &base::SystemClock();
  if (options.storage == nullptr) options.storage = &FileSegmentStorage();
  auto impl = std::make_unique<Impl>(std::move(options));
  const AuditLogOptions& used = impl->options;
  RETURN_IF_ERROR(base::MakeDirectories(used.directory, 0700));
  ASSIGN_OR_RETURN(impl->lock_file, LockDirectory(used.directory));
  ASSIGN_OR_RETURN(impl->envelope.node_id, LoadOrCreateNodeId(used.node_id_file));
  ASSIGN_OR_RETURN(impl->envelope.boot_id, BootId());
  ASSIGN_OR_RETURN(Recovery recovery, Recover(used.directory, impl->envelope.node_id));
  impl->envelope.log_epoch = recovery.log_epoch;
  impl->envelope.clock = used.clock;
  impl->pool = std::make_unique<SegmentPool>(used.directory, used.segment_bytes, used.reserve_bytes,
                                             used.storage);
  RETURN_IF_ERROR(impl->pool->Start());

  const uint64_t smallest = used.reserve_bytes == 0
                                ? used.segment_bytes
                                : std::min(used.segment_bytes, used.reserve_bytes);
  impl->batch_bytes_max =
      static_cast<size_t>(std::min<uint64_t>(kFrameBytesMax, smallest - kSegmentHeaderBytes)) -
      kFrameHeaderBytes - LogWriter::kNotesBytesMax;
  v1::AuditRecord start = StartRecord(recovery);
  impl->status.directory = used.directory;
  impl->status.node_id = impl->envelope.node_id;
  impl->status.log_epoch = impl->envelope.log_epoch;
  impl->status.durable_sequence = recovery.position.last_sequence;
  impl->status.chain_hash = recovery.position.chain_hash;
  impl->writer = std::make_unique<LogWriter>(std::move(recovery.position), &impl->envelope,
                                             impl->pool.get(), used.storage);
  impl->thread = std::thread([raw = impl.get()] { raw->Run(); });
  std::unique_ptr<AuditLog> log(new AuditLog(std::move(impl)));
  auto started = log->AppendDurable(std::move(start), Lane::kWayDown);
  if (!started)
    return std::move(started).error().Wrap("open audit log {}", log->Status().directory);
  return log;
}

void AuditLog::Append(v1::AuditRecord record, Lane lane, Callback done) {
  impl_->Enqueue(std::move(record), lane, std::move(done));
}

void AuditLog::Impl::Enqueue(v1::AuditRecord record, Lane lane, Callback done) {
  Pending item;
  item.lane = lane;
  // Encoding is the dear part, apart from hashing: the callers' threads share it.
  auto encoded = envelope.Encode(std::move(record));
  std::optional<Error> refused;
  if (encoded) {
    item.encoded = *std::move(encoded);
    item.done = std::move(done);
    const std::lock_guard lock(mutex);
    if (closing) {
      refused = Error(Code::kUnavailable, "append audit record: the log is closed");
    } else if (queued_records >= options.pending_records_max ||
               queued_bytes + item.encoded.size() > options.pending_bytes_max) {
      refused =
          Error(Code::kResourceExhausted, "append audit record: too many are waiting for the disk");
    } else {
      ++queued_records;
      queued_bytes += item.encoded.size();
      pending.push_back(std::move(item));
    }
  } else {
    refused = std::move(encoded).error();
    item.done = std::move(done);
  }
  if (!refused) {
    work.notify_one();
    return;
  }
  {
    const std::lock_guard lock(head_mutex);
    ++status.records_refused;
  }
  if (item.done) item.done(*std::move(refused));
}

Result<Receipt> AuditLog::AppendDurable(v1::AuditRecord record, Lane lane) {
  struct Waiter {
    std::mutex mutex;
    std::condition_variable ready;
    std::optional<Result<Receipt>> result;
  } waiter;
  Append(std::move(record), lane, [&waiter](const Result<Receipt>& result) {
    // Notified under the lock: the waiter lives on the stack of a thread that may go on as soon as
    // it is released.
    const std::lock_guard lock(waiter.mutex);
    waiter.result = result;
    waiter.ready.notify_one();
  });
  std::unique_lock lock(waiter.mutex);
  waiter.ready.wait(lock, [&] { return waiter.result.has_value(); });
  return *std::move(waiter.result);
}

std::vector<Pending> AuditLog::Impl::TakeBatch(std::unique_lock<std::mutex>* lock) {
  work.wait(*lock, [this] { return !pending.empty() || closing || writer->HasNotes(); });
  std::vector<Pending> batch;
  size_t bytes = 0;
  while (!pending.empty() && batch.size() < options.batch_records_max) {
    bytes += pending.front().encoded.size() + kRecordOverheadMax;
    if (bytes > batch_bytes_max) break;
    batch.push_back(std::move(pending.front()));
    pending.pop_front();
  }
  return batch;
}

void AuditLog::Impl::Run() {
  std::unique_lock lock(mutex);
  for (;;) {
    std::vector<Pending> batch = TakeBatch(&lock);
    if (batch.empty() && !writer->HasNotes()) return;
    lock.unlock();
    std::vector<BatchEntry> entries(batch.size());
    size_t bytes = 0;
    for (size_t i = 0; i < batch.size(); ++i) {
      bytes += batch[i].encoded.size();
      entries[i].encoded = std::move(batch[i].encoded);
      entries[i].lane = batch[i].lane;
    }
    const std::vector<Result<Receipt>> results = writer->Commit(entries);
    Publish(results);
    for (size_t i = 0; i < batch.size(); ++i) {
      if (batch[i].done) batch[i].done(results[i]);
    }
    batch.clear();
    lock.lock();
    queued_records -= results.size();
    queued_bytes -= bytes;
  }
}

void AuditLog::Impl::Publish(const std::vector<Result<Receipt>>& results) {
  const auto durable = static_cast<uint64_t>(
      std::count_if(results.begin(), results.end(), [](const auto& r) { return r.has_value(); }));
  {
    const std::lock_guard lock(head_mutex);
    status.state = writer->state();
    status.last_error = writer->last_error();
    status.durable_sequence = writer->position().last_sequence;
    status.chain_hash = writer->position().chain_hash;
    status.records_appended += durable;
    status.records_refused += results.size() - durable;
    status.batches = writer->sync_count();
  }
  head_moved.notify_all();
}

uint64_t AuditLog::WaitDurable(uint64_t after_sequence, int timeout_ms) const {
  std::unique_lock lock(impl_->head_mutex);
  impl_->head_moved.wait_for(lock, std::chrono::milliseconds(timeout_ms), [&] {
    return impl_->status.durable_sequence > after_sequence ||
           impl_->status.state == LogState::kClosed;
  });
  return impl_->status.durable_sequence;
}

AuditLogStatus AuditLog::Status() const {
  const uint64_t reserve = impl_->pool->reserve_bytes_free();
  const std::lock_guard lock(impl_->head_mutex);
  AuditLogStatus status = impl_->status;
  status.reserve_bytes_free = reserve;
  return status;
}

base::Status AuditLog::Close() {
  const std::lock_guard closing(impl_->close_mutex);
  if (impl_->close_result) return *impl_->close_result;
  v1::AuditRecord stop;
  stop.set_event_type(v1::AUDIT_STOP);
  stop.set_outcome(v1::OBSERVED);
  auto encoded = impl_->envelope.Encode(std::move(stop));
  std::optional<Result<Receipt>> stopped;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->closing = true;
    if (encoded) {
      Pending item;
      item.encoded = *std::move(encoded);
      item.lane = Lane::kWayDown;
      item.done = [&stopped](const Result<Receipt>& result) { stopped = result; };
      ++impl_->queued_records;
      impl_->queued_bytes += item.encoded.size();
      impl_->pending.push_back(std::move(item));
    }
  }
  impl_->work.notify_all();
  impl_->thread.join();
  {
    const std::lock_guard lock(impl_->head_mutex);
    impl_->status.state = LogState::kClosed;
  }
  impl_->head_moved.notify_all();
  impl_->close_result = OkStatus();
  if (stopped && !stopped->has_value()) impl_->close_result = stopped->error();
  return *impl_->close_result;
}

}  // namespace bulwark::audit
