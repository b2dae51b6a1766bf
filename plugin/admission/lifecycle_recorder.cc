#include "plugin/admission/lifecycle_recorder.h"

#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "lib/base/logging.h"
#include "plugin/admission/decision_record.h"

namespace bulwark::admission {
namespace {

using base::Code;
using base::Error;

constexpr size_t kEventsMax = 256;
constexpr size_t kDetailBytesMax = 4096;

struct Translation {
  v1::EventKind kind;
  v1::EventType type;
};
constexpr Translation kTranslations[] = {
    {v1::CONTAINER_CREATED, v1::CONTAINER_CREATE},
    {v1::CREATE_FAILED, v1::CONTAINER_CREATE_FAILED},
    {v1::CONTAINER_STARTED, v1::CONTAINER_START},
    {v1::CONTAINER_EXITED, v1::CONTAINER_EXIT},
    {v1::CONTAINER_DELETED, v1::CONTAINER_DELETE},
    {v1::CONTAINER_OOM_KILLED, v1::CONTAINER_OOM},
    {v1::CONTAINER_PAUSED, v1::CONTAINER_PAUSE},
    {v1::CONTAINER_RESUMED, v1::CONTAINER_RESUME},
    {v1::CONTAINER_KILLED, v1::CONTAINER_KILL},
    {v1::CONTAINER_UPDATED, v1::CONTAINER_UPDATE},
    {v1::EXEC_STARTED, v1::EXEC_START},
    {v1::EXEC_EXITED, v1::EXEC_EXIT},
    {v1::EXEC_FAILED, v1::EXEC_START_FAILED},
    {v1::SHIM_GONE, v1::SHIM_LOST},
};

std::optional<v1::EventType> TypeOf(v1::EventKind kind) {
  for (const Translation& translation : kTranslations) {
    if (translation.kind == kind) return translation.type;
  }
  return std::nullopt;
}

base::Status CheckEvents(const std::vector<v1::LifecycleEvent>& events) {
  if (events.empty() || events.size() > kEventsMax) {
    return Error::Make(Code::kInvalidArgument, "report of {} events: 1 to {} are taken", events.size(), kEventsMax);
  }
  uint64_t previous = 0;
  for (const v1::LifecycleEvent& event : events) {
    if (event.source_id().empty() || event.source_id() != events.front().source_id()) {
      return Error(Code::kInvalidArgument, "report mixes events of several sources, or names none");
    }
    if (event.source_seq() <= previous) return Error(Code::kInvalidArgument, "report is not in order of source_seq");
    previous = event.source_seq();
    if (!TypeOf(event.kind())) {
      return Error::Make(Code::kInvalidArgument, "unknown event kind {}", static_cast<int>(event.kind()));
    }
  }
  return base::OkStatus();
}

v1::AuditRecord RecordOf(const v1::LifecycleEvent& event, ContainerStore& containers) {
  v1::AuditRecord record;
  record.set_event_type(*TypeOf(event.kind()));
  const bool failed = event.kind() == v1::CREATE_FAILED || event.kind() == v1::EXEC_FAILED ||
                      event.kind() == v1::SHIM_GONE;
  record.set_outcome(failed ? v1::ERROR : v1::OBSERVED);
  // A late event may be about a container whose name has been given to another since.
  const auto known = containers.Get(event.containerd_namespace(), event.container_id());
  if (known && (event.decision_id().empty() || event.decision_id() == known->decision_id)) {
    FillContainer(*known, record.mutable_container());
    record.set_decision_id(known->decision_id);
  }
  record.mutable_container()->set_containerd_namespace(event.containerd_namespace());
  record.mutable_container()->set_id(event.container_id());
  if (!event.decision_id().empty()) record.set_decision_id(event.decision_id());
  record.mutable_process()->set_pid(event.pid());
  record.mutable_process()->set_exec_id(event.exec_id());
  record.mutable_principal()->set_kind("shim");
  record.mutable_principal()->set_id(event.source_id());
  record.set_message(event.detail().substr(0, kDetailBytesMax));
  record.set_source_id(event.source_id());
  record.set_source_seq(event.source_seq());
  record.set_source_wall_ns(event.wall_ns());
  record.set_exit_status(event.exit_status());
  record.set_signal(event.signal());
  if (event.all()) (*record.mutable_attributes())["all"] = "true";
  return record;
}

// Waits for all appends of one report without blocking: the last one to finish calls back.
class Barrier {
 public:
  Barrier(size_t count, uint64_t highest, LifecycleRecorder::Callback done)
      : remaining_(count), highest_(highest), done_(std::move(done)) {}

  void Finish(const base::Result<audit::Receipt>& receipt) {
    std::unique_lock lock(mutex_);
    if (!receipt && !error_) error_ = receipt.error();
    if (--remaining_ != 0) return;
    lock.unlock();
    if (error_) {
      done_(*error_);
    } else {
      done_(highest_);
    }
  }

 private:
  std::mutex mutex_;
  size_t remaining_;            // guarded by mutex_
  std::optional<Error> error_;  // guarded by mutex_ until remaining_ is 0
  const uint64_t highest_;
  const LifecycleRecorder::Callback done_;
};

}  // namespace

LifecycleRecorder::LifecycleRecorder(audit::Recorder& recorder, audit::SourceIndex& sources, ContainerStore& containers)
    : recorder_(recorder), sources_(sources), containers_(containers), thread_([this] { Run(); }) {}

LifecycleRecorder::~LifecycleRecorder() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  ready_.notify_all();
  thread_.join();
}

void LifecycleRecorder::Post(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(work));
  }
  ready_.notify_one();
}

void LifecycleRecorder::Run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ready_.wait(lock, [this] { return ending_ || !queue_.empty(); });
    if (queue_.empty()) return;
    const std::function<void()> work = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    work();
    lock.lock();
  }
}

void LifecycleRecorder::Record(std::vector<v1::LifecycleEvent> events, Callback done) {
  if (auto checked = CheckEvents(events); !checked) {
    done(std::move(checked).error());
    return;
  }
  Post([this, events = std::move(events), done = std::move(done)]() mutable { Append(events, std::move(done)); });
}

void LifecycleRecorder::Append(const std::vector<v1::LifecycleEvent>& events, Callback done) {
  std::vector<const v1::LifecycleEvent*> fresh;
  for (const v1::LifecycleEvent& event : events) {
    if (!sources_.IsDurable(event.source_id(), event.source_seq())) fresh.push_back(&event);
  }
  const uint64_t highest = events.back().source_seq();
  if (fresh.empty()) {
    done(highest);
    return;
  }
  const auto barrier = std::make_shared<Barrier>(fresh.size(), highest, std::move(done));
  for (const v1::LifecycleEvent* event : fresh) {
    AppendOne(*event, [barrier](const base::Result<audit::Receipt>& receipt) { barrier->Finish(receipt); });
  }
}

void LifecycleRecorder::AppendOne(const v1::LifecycleEvent& event,
                                  std::function<void(const base::Result<audit::Receipt>&)> finish) {
  v1::AuditRecord record = RecordOf(event, containers_);
  std::function<void()> forget;
  if (event.kind() == v1::CONTAINER_DELETED || event.kind() == v1::CREATE_FAILED) {
    // By the decision that was known when the event came in, which guards what is admitted under this name after it.
    forget = [this, ns = event.containerd_namespace(), id = event.container_id(), decision = record.decision_id()] {
      if (auto removed = containers_.Remove(ns, id, decision); !removed) {
        base::LogWarn("a deleted container could not be forgotten",
                      {{"container_id", id}, {"error", removed.error().message()}});
      }
    };
  }
  recorder_.Append(std::move(record), audit::Lane::kWayDown,
                   [this, finish = std::move(finish), forget = std::move(forget), source = event.source_id(),
                    seq = event.source_seq()](const base::Result<audit::Receipt>& receipt) {
                     if (receipt) sources_.Remember(source, seq);
                     if (receipt && forget) Post(forget);
                     finish(receipt);
                   });
}

}  // namespace bulwark::admission
