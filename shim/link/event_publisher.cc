#include "shim/link/event_publisher.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lib/base/logging.h"

namespace bulwark::shim {
namespace {

constexpr std::string_view kService = "containerd.services.events.ttrpc.v1.Events";
constexpr std::string_view kMethod = "Forward";
constexpr std::string_view kNamespaceKey = "containerd-namespace-ttrpc";
constexpr std::string_view kUnixScheme = "unix://";
constexpr int64_t kNanosPerSecond = 1'000'000'000;
// A containerd that takes calls but never answers this one: something about this event is the
// matter.
constexpr int kHeadTimeoutsMax = 5;
constexpr uint64_t kDropsPerLogLine = 1'000;

std::string PathOf(std::string address) {
  if (std::string_view(address).substr(0, kUnixScheme.size()) == kUnixScheme) {
    address.erase(0, kUnixScheme.size());
  }
  return address;
}

}  // namespace

EventPublisher::EventPublisher(base::EventLoop& loop, const base::Clock& clock,
                               EventPublisherOptions options)
    : loop_(loop),
      clock_(clock),
      options_(std::move(options)),
      connection_(loop, PathOf(options_.address)),
      alive_(std::make_shared<bool>(true)) {}

EventPublisher::~EventPublisher() {
  loop_.CancelTimer(retry_timer_);
  loop_.CancelTimer(drain_timer_);
}

void EventPublisher::Publish(const containerd::events::TaskCreate& event) {
  Enqueue("/tasks/create", "TaskCreate", event.SerializeAsString());
}
void EventPublisher::Publish(const containerd::events::TaskStart& event) {
  Enqueue("/tasks/start", "TaskStart", event.SerializeAsString());
}
void EventPublisher::Publish(const containerd::events::TaskExit& event) {
  Enqueue("/tasks/exit", "TaskExit", event.SerializeAsString());
}
void EventPublisher::Publish(const containerd::events::TaskDelete& event) {
  Enqueue("/tasks/delete", "TaskDelete", event.SerializeAsString());
}
void EventPublisher::Publish(const containerd::events::TaskOOM& event) {
  Enqueue("/tasks/oom", "TaskOOM", event.SerializeAsString());
}
void EventPublisher::Publish(const containerd::events::TaskExecAdded& event) {
  Enqueue("/tasks/exec-added", "TaskExecAdded", event.SerializeAsString());
}
void EventPublisher::Publish(const containerd::events::TaskExecStarted& event) {
  Enqueue("/tasks/exec-started", "TaskExecStarted", event.SerializeAsString());
}
void EventPublisher::Publish(const containerd::events::TaskPaused& event) {
  Enqueue("/tasks/paused", "TaskPaused", event.SerializeAsString());
}
void EventPublisher::Publish(const containerd::events::TaskResumed& event) {
  Enqueue("/tasks/resumed", "TaskResumed", event.SerializeAsString());
}

void EventPublisher::Enqueue(std::string_view topic, std::string_view message_name,
                             std::string value) {
  if (connection_.path().empty()) {
    ++dropped_;
    return;
  }
  const int64_t now = clock_.WallNanos();
  containerd::events::ForwardRequest request;
  containerd::events::Envelope* envelope = request.mutable_envelope();
  envelope->mutable_timestamp()->set_seconds(now / kNanosPerSecond);
  envelope->mutable_timestamp()->set_nanos(static_cast<int32_t>(now % kNanosPerSecond));
  envelope->set_namespace_(options_.containerd_namespace);
  envelope->set_topic(topic.data(), topic.size());
  envelope->mutable_event()->set_type_url(fmt::format("containerd.events.{}", message_name));
  envelope->mutable_event()->set_value(std::move(value));
  queue_.push_back(request.SerializeAsString());
  queue_bytes_ += queue_.back().size();
  DropOverflow();
  if (!in_flight_ && retry_timer_ == 0) SendHead();
}

void EventPublisher::DropOverflow() {
  while (queue_bytes_ > options_.queue_bytes_max && queue_.size() > 2) {
    // The head may be under way; the one behind it is the oldest that certainly is not.
    const auto oldest = queue_.begin() + 1;
    queue_bytes_ -= oldest->size();
    queue_.erase(oldest);
    if (dropped_++ % kDropsPerLogLine == 0) {
      base::LogError("task events dropped: containerd takes none and the queue is full",
                     {{"dropped", std::to_string(dropped_)}});
    }
  }
}

void EventPublisher::SendHead() {
  if (queue_.empty()) return;
  ttrpc::CallOptions call;
  call.timeout_ms = options_.call_timeout_ms;
  call.metadata.emplace_back(kNamespaceKey, options_.containerd_namespace);
  auto sent =
      connection_.Call(kService, kMethod, queue_.front(), call,
                       [this](base::Result<std::string> answer) { OnAnswer(std::move(answer)); });
  in_flight_ = sent.has_value();
  if (!sent) RetryLater();
}

void EventPublisher::OnAnswer(base::Result<std::string> answer) {
  in_flight_ = false;
  if (!answer) {
    const base::Code code = answer.error().code();
    if (code == base::Code::kUnavailable) return RetryLater();
    if (code == base::Code::kDeadlineExceeded && ++head_timeouts_ < kHeadTimeoutsMax) {
      connection_.Drop();
      return RetryLater();
    }
    ++dropped_;
    base::LogError("containerd refused a task event", {{"error", answer.error().message()}});
  }
  backoff_ms_ = 0;
  PopHead();
  SendHead();
}

void EventPublisher::RetryLater() {
  backoff_ms_ = std::clamp(backoff_ms_ * 2, options_.backoff_first_ms, options_.backoff_max_ms);
  retry_timer_ = loop_.AddTimer(backoff_ms_, [this] {
    retry_timer_ = 0;
    SendHead();
  });
}

void EventPublisher::PopHead() {
  queue_bytes_ -= queue_.front().size();
  queue_.pop_front();
  head_timeouts_ = 0;
  FinishDrainIfIdle();
}

void EventPublisher::Drain(int64_t timeout_ms, std::function<void()> done) {
  loop_.CancelTimer(drain_timer_);
  drained_ = std::move(done);
  drain_timer_ = loop_.AddTimer(timeout_ms, [this] { RunDrainCallback(); });
  FinishDrainIfIdle();
}

void EventPublisher::FinishDrainIfIdle() {
  if (!queue_.empty() || !drained_) return;
  loop_.Post([this, alive = std::weak_ptr<bool>(alive_)] {
    if (!alive.expired() && queue_.empty()) RunDrainCallback();
  });
}

void EventPublisher::RunDrainCallback() {
  loop_.CancelTimer(drain_timer_);
  drain_timer_ = 0;
  if (auto done = std::exchange(drained_, nullptr)) done();
}

}  // namespace bulwark::shim
