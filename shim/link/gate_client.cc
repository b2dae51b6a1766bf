#include "shim/link/gate_client.h"

#include <stdlib.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>
#include <vector>

#include "lib/base/logging.h"
#include "lib/base/random.h"
#include "shim/link/spool.h"

namespace bulwark::shim {
namespace {

using base::Code;
using base::Error;

constexpr std::string_view kService = "bulwark.v1.Gate";
constexpr char kDefaultSocket[] = "/run/bulwark/gate.sock";
constexpr int64_t kWaitMsMax = 600'000;
constexpr int64_t kNanosPerMilli = 1'000'000;
constexpr int kBatchEventsMax = 256;          // gate.proto
constexpr size_t kBatchBytesMax = 1 << 20;    // well below a ttrpc frame
constexpr size_t kDetailBytesMax = 4 * 1024;  // gate.proto
constexpr uint64_t kLossesPerLogLine = 1'000;

std::string_view EnvironmentOr(const char* name, std::string_view fallback) {
  const char* value = getenv(name);
  return value != nullptr && *value != '\0' ? std::string_view(value) : fallback;
}

// Never in the middle of a UTF-8 sequence: proto3 strings must be valid.
void CutDetail(std::string& detail) {
  if (detail.size() <= kDetailBytesMax) return;
  size_t end = kDetailBytesMax;
  while (end > 0 && (static_cast<unsigned char>(detail[end]) & 0xc0) == 0x80) --end;
  detail.resize(end);
}

base::Result<v1::AdmitResponse> ParseAdmitResponse(const std::string& payload) {
  v1::AdmitResponse response;
  if (!response.ParseFromString(payload)) {
    return Error(Code::kInternal, "ask the daemon for a decision: malformed answer");
  }
  if (response.allowed() && response.effective_spec().empty()) {
    return Error(Code::kInternal, "ask the daemon for a decision: allowed without a spec to run");
  }
  return response;
}

}  // namespace

GateClientOptions GateClientOptionsFromEnvironment() {
  GateClientOptions options;
  options.socket_path = EnvironmentOr("BULWARK_GATE_SOCKET", kDefaultSocket);
  options.spool_directory = SpoolDirectoryFromEnvironment();
  const std::string_view wait = EnvironmentOr("BULWARK_GATE_WAIT_MS", "");
  int64_t wait_ms = 0;
  const auto [end, error] = std::from_chars(wait.data(), wait.data() + wait.size(), wait_ms);
  if (!wait.empty() && error == std::errc() && end == wait.data() + wait.size() && wait_ms >= 0 &&
      wait_ms <= kWaitMsMax) {
    options.wait_ms = wait_ms;
  }
  return options;
}

// A call that is repeated until it is answered or its time is up.
struct GateClient::Question {
  std::string_view method;
  std::string payload;
  int64_t deadline_boot_ns = 0;
  int64_t backoff_ms = 0;
  ttrpc::Client::Callback done;
};

GateClient::GateClient(base::EventLoop& loop, const base::Clock& clock, GateClientOptions options,
                       std::unique_ptr<EventJournal> journal)
    : loop_(loop),
      clock_(clock),
      options_(std::move(options)),
      journal_(std::move(journal)),
      connection_(loop, options_.socket_path),
      alive_(std::make_shared<bool>(true)) {
  if (options_.source_id.empty()) options_.source_id = base::RandomHexId();
  if (journal_ != nullptr && !journal_->empty()) {
    more_in_journal_ = true;
    ScheduleSend();
  }
}

GateClient::~GateClient() {
  loop_.CancelTimer(report_timer_);
  loop_.CancelTimer(finish_timer_);
}

void GateClient::AdmitCreate(v1::AdmitCreateRequest request, AdmitCallback callback) {
  request.set_api_version(kGateApiVersion);
  auto question = std::make_shared<Question>();
  question->method = "AdmitCreate";
  question->payload = request.SerializeAsString();
  question->done = AnswerTo(std::move(callback));
  Ask(std::move(question));
}

void GateClient::AdmitExec(v1::AdmitExecRequest request, AdmitCallback callback) {
  request.set_api_version(kGateApiVersion);
  auto question = std::make_shared<Question>();
  question->method = "AdmitExec";
  question->payload = request.SerializeAsString();
  question->done = AnswerTo(std::move(callback));
  Ask(std::move(question));
}

ttrpc::Client::Callback GateClient::AnswerTo(AdmitCallback callback) {
  return [run = std::move(callback)](base::Result<std::string> payload) {
    if (!payload) return run(std::move(payload).error());
    run(ParseAdmitResponse(*payload));
  };
}

void GateClient::Attach(v1::AttachRequest request, std::function<void(base::Status)> done) {
  request.set_api_version(kGateApiVersion);
  auto question = std::make_shared<Question>();
  question->method = "Attach";
  question->payload = request.SerializeAsString();
  question->done = [id = request.container_id(),
                    run = std::move(done)](base::Result<std::string> payload) {
    if (payload) {
      if (run) run(base::OkStatus());
      return;
    }
    base::LogWarn("daemon not told of a created container",
                  {{"container_id", id}, {"error", payload.error().message()}});
    if (run) run(std::move(payload).error());
  };
  Ask(std::move(question));
}

void GateClient::Ask(std::shared_ptr<Question> question) {
  question->deadline_boot_ns = clock_.BootNanos() + options_.wait_ms * kNanosPerMilli;
  Attempt(question);
}

void GateClient::Attempt(const std::shared_ptr<Question>& question) {
  ttrpc::CallOptions call;
  call.timeout_ms = options_.attempt_timeout_ms;
  auto sent = connection_.Call(
      kService, question->method, question->payload, call,
      [this, question](base::Result<std::string> answer) {
        if (!answer && answer.error().code() == Code::kUnavailable) {
          return AttemptLater(question, answer.error());
        }
        if (!answer && answer.error().code() == Code::kDeadlineExceeded) {
          return question->done(Unavailable(Code::kDeadlineExceeded, answer.error()));
        }
        question->done(std::move(answer));
      });
  if (!sent) AttemptLater(question, sent.error());
}

void GateClient::AttemptLater(const std::shared_ptr<Question>& question, const Error& cause) {
  question->backoff_ms =
      std::clamp(question->backoff_ms * 2, options_.backoff_first_ms, options_.backoff_max_ms);
  const int64_t left_ms = (question->deadline_boot_ns - clock_.BootNanos()) / kNanosPerMilli;
  const std::weak_ptr<bool> alive = alive_;
  if (left_ms <= 0) {
    loop_.Post([alive, question, failure = Unavailable(Code::kUnavailable, cause)] {
      if (!alive.expired()) question->done(failure);
    });
    return;
  }
  loop_.AddTimer(std::min(question->backoff_ms, left_ms), [this, alive, question] {
    if (!alive.expired()) Attempt(question);
  });
}

Error GateClient::Unavailable(Code code, const Error& cause) const {
  return Error::Make(
      code,
      "{}: no decision from bulwarkd at {} within {} ms ({}); see that bulwarkd runs on this node, "
      "then try again",
      kReasonDaemonUnavailable, options_.socket_path,
      code == Code::kDeadlineExceeded ? options_.attempt_timeout_ms : options_.wait_ms,
      cause.message());
}

void GateClient::Report(v1::LifecycleEvent event) {
  event.set_source_id(options_.source_id);
  event.set_source_seq(next_seq_++);
  if (event.wall_ns() == 0) event.set_wall_ns(clock_.WallNanos());
  CutDetail(*event.mutable_detail());
  const EventJournal::Position before =
      journal_ != nullptr ? journal_->end() : EventJournal::Position();
  bool is_in_journal = false;
  if (journal_ != nullptr) {
    const base::Status appended = journal_->Append(event);
    is_in_journal = appended.has_value();
    if (!appended && !journal_failure_logged_) {
      journal_failure_logged_ = true;
      base::LogError("lifecycle events are kept in memory only",
                     {{"error", appended.error().message()}});
    }
  }
  if (!more_in_journal_ && queue_.size() < options_.queued_events_max) {
    queue_.push_back(std::move(event));
  } else if (is_in_journal) {
    if (!more_in_journal_) next_in_journal_ = before;
    more_in_journal_ = true;
  } else if (lost_events_++ % kLossesPerLogLine == 0) {
    base::LogError("lifecycle events lost: the daemon is away, memory and journal are full",
                   {{"lost", std::to_string(lost_events_)}});
  }
  ScheduleSend();
}

// Through the loop, so that events of one turn travel together.
void GateClient::ScheduleSend() {
  if (send_scheduled_ || report_in_flight_ || report_timer_ != 0) return;
  send_scheduled_ = true;
  loop_.Post([this, alive = std::weak_ptr<bool>(alive_)] {
    if (alive.expired()) return;
    send_scheduled_ = false;
    SendBatch();
  });
}

void GateClient::SendBatch() {
  if (report_in_flight_ || report_timer_ != 0) return;
  if (queue_.empty() && more_in_journal_) RefillFromJournal();
  if (queue_.empty()) return OnAcknowledged();
  const v1::ReportRequest batch = NextBatch();
  const v1::LifecycleEvent& last = batch.events(batch.events_size() - 1);
  ttrpc::CallOptions call;
  call.timeout_ms = options_.attempt_timeout_ms;
  auto sent = connection_.Call(
      kService, "Report", batch.SerializeAsString(), call,
      [this, source = last.source_id(), seq = last.source_seq()](base::Result<std::string> answer) {
        OnReportAnswer(source, seq, std::move(answer));
      });
  report_in_flight_ = sent.has_value();
  if (!sent) RetryReportLater(sent.error());
}

// Events of one source only: the daemon acknowledges by sequence number.
v1::ReportRequest GateClient::NextBatch() const {
  v1::ReportRequest batch;
  batch.set_api_version(kGateApiVersion);
  size_t bytes = 0;
  for (const v1::LifecycleEvent& event : queue_) {
    bytes += event.ByteSizeLong();
    const bool fits = batch.events_size() < kBatchEventsMax && bytes <= kBatchBytesMax &&
                      event.source_id() == queue_.front().source_id();
    if (batch.events_size() > 0 && !fits) break;
    *batch.add_events() = event;
  }
  return batch;
}

void GateClient::OnReportAnswer(const std::string& batch_source, uint64_t batch_last_seq,
                                base::Result<std::string> answer) {
  report_in_flight_ = false;
  if (!answer) {
    return RetryReportLater(answer.error());
  }
  v1::ReportResponse response;
  if (!response.ParseFromString(*answer)) {
    return RetryReportLater(Error(Code::kInternal, "report events: malformed answer"));
  }
  // Never more than was sent, whatever the answer says.
  const uint64_t acknowledged = std::min(response.acknowledged_seq(), batch_last_seq);
  size_t removed = 0;
  while (!queue_.empty() && queue_.front().source_id() == batch_source &&
         queue_.front().source_seq() <= acknowledged) {
    queue_.pop_front();
    ++removed;
  }
  if (removed == 0)
    return RetryReportLater(Error(Code::kInternal, "report events: none was acknowledged"));
  report_backoff_ms_ = 0;
  if (std::exchange(daemon_away_logged_, false))
    base::LogInfo("daemon takes lifecycle events again");
  SendBatch();
}

void GateClient::RetryReportLater(const Error& cause) {
  if (!std::exchange(daemon_away_logged_, true)) {
    base::LogWarn("lifecycle events wait for the daemon", {{"error", cause.message()}});
  }
  const int64_t longest = finished_ ? options_.backoff_max_ms : options_.report_backoff_max_ms;
  report_backoff_ms_ = std::clamp(report_backoff_ms_ * 2, options_.backoff_first_ms, longest);
  report_timer_ = loop_.AddTimer(report_backoff_ms_, [this] {
    report_timer_ = 0;
    SendBatch();
  });
}

void GateClient::RefillFromJournal() {
  auto events = journal_->Read(next_in_journal_, options_.queued_events_max);
  if (!events) {
    base::LogError("journal unreadable: the events it held are lost",
                   {{"error", events.error().message()}});
    ++lost_events_;
    more_in_journal_ = false;
    return;
  }
  queue_.insert(queue_.end(), std::make_move_iterator(events->begin()),
                std::make_move_iterator(events->end()));
  more_in_journal_ = next_in_journal_.offset < journal_->end().offset;
}

void GateClient::OnAcknowledged() {
  if (journal_ != nullptr) {
    const base::Status cleared = journal_->Clear();
    // Harmless: what stays is reported again by whoever reads it, and recognised as a repetition.
    if (!cleared) base::LogWarn("journal not emptied", {{"error", cleared.error().message()}});
    next_in_journal_ = {};
  }
  if (finished_) FinishNow();
}

void GateClient::Finish(int64_t timeout_ms, std::function<void(base::Status)> done) {
  finished_ = std::move(done);
  finish_timer_ = loop_.AddTimer(timeout_ms, [this] { FinishNow(); });
  loop_.CancelTimer(std::exchange(report_timer_, 0));
  report_backoff_ms_ = 0;
  // An idle client finds out on its next turn that there is nothing to wait for.
  ScheduleSend();
}

void GateClient::FinishNow() {
  loop_.CancelTimer(finish_timer_);
  finish_timer_ = 0;
  loop_.CancelTimer(report_timer_);
  report_timer_ = 0;
  connection_.Drop();
  base::Status outcome = SpoolRemainder();
  if (auto done = std::exchange(finished_, nullptr)) done(std::move(outcome));
}

base::Status GateClient::SpoolRemainder() {
  std::vector<v1::LifecycleEvent> rest(queue_.begin(), queue_.end());
  while (more_in_journal_) {
    ASSIGN_OR_RETURN(std::vector<v1::LifecycleEvent> more,
                     journal_->Read(next_in_journal_, options_.queued_events_max));
    rest.insert(rest.end(), std::make_move_iterator(more.begin()),
                std::make_move_iterator(more.end()));
    more_in_journal_ = next_in_journal_.offset < journal_->end().offset;
  }
  RETURN_IF_ERROR(SpoolEvents(rest, options_.spool_directory));
  queue_.clear();
  return journal_ != nullptr ? journal_->Remove() : base::OkStatus();
}

}  // namespace bulwark::shim
