// The shim's connection to the daemon's gate (proto/bulwark/v1/gate.proto): asks for decisions and
// reports what happened.
//
// Decisions (AdmitCreate, AdmitExec) wait a bounded time for a daemon that is away, reconnecting
// meanwhile; then they fail. Any error is a deny. Asking again after a broken connection is safe:
// the daemon records each question as a decision of its own and only the answer that arrives is
// acted on.
//
// Reports never block and are never given up while this object lives: each event gets this source's
// next sequence number, is appended to the journal, and is sent in order in batches until the
// daemon acknowledges it. At most `queued_events_max` wait in memory; the rest waits in the
// journal. Events found in the journal when this object is made (of a shim that died) are sent
// first, under the source they came from.
//
// A socket whose listener is neither root nor our own user is treated as an absent daemon. Thread:
// the loop's.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "bulwark/v1/gate.pb.h"
#include "lib/base/clock.h"
#include "lib/base/event_loop.h"
#include "lib/base/result.h"
#include "shim/link/connection.h"
#include "shim/link/journal.h"

namespace bulwark::shim {

inline constexpr uint32_t kGateApiVersion = 1;
// Reason code in the text of an error that says the daemon could not be asked.
inline constexpr std::string_view kReasonDaemonUnavailable = "daemon.unavailable";

struct GateClientOptions {
  std::string socket_path;
  std::string spool_directory;
  std::string source_id;    // empty: 32 random hexadecimal digits
  int64_t wait_ms = 5'000;  // how long a decision waits for the daemon to come back
  int64_t attempt_timeout_ms = 10'000;
  int64_t backoff_first_ms = 5;  // doubled after each failure
  int64_t backoff_max_ms = 250;  // while a decision waits
  int64_t report_backoff_max_ms = 2'000;
  size_t queued_events_max = 4'096;
};
// BULWARK_GATE_SOCKET (default /run/bulwark/gate.sock), BULWARK_GATE_WAIT_MS (0 to 600000; anything
// else: the default), BULWARK_SPOOL_DIR.
GateClientOptions GateClientOptionsFromEnvironment();

class GateClient {
 public:
  using AdmitCallback = std::function<void(base::Result<v1::AdmitResponse>)>;

  // `journal` may be null (tests, or when it could not be opened): events then live in memory only.
  GateClient(base::EventLoop& loop, const base::Clock& clock, GateClientOptions options,
             std::unique_ptr<EventJournal> journal);
  // Pending callbacks are dropped without being run; unacknowledged events stay in the journal.
  ~GateClient();
  GateClient(const GateClient&) = delete;
  GateClient& operator=(const GateClient&) = delete;

  // Asks for a decision; api_version is filled in. `callback` runs once, never before the call
  // returns, with
  //   - the answer: allowed with a non-empty effective_spec, or denied with reason and message;
  //   - kUnavailable, text beginning with "daemon.unavailable": no daemon within wait_ms; says what
  //     to do;
  //   - kDeadlineExceeded, likewise: the daemon took longer than attempt_timeout_ms;
  //   - kInternal: an answer that makes no sense; or the daemon's own error.
  void AdmitCreate(v1::AdmitCreateRequest request, AdmitCallback callback);
  void AdmitExec(v1::AdmitExecRequest request, AdmitCallback callback);

  // Tells the daemon about a created container; best effort, with the same waiting as a decision.
  // `done` (may be null) runs once, never before the call returns.
  void Attach(v1::AttachRequest request, std::function<void(base::Status)> done = nullptr);

  // Takes the event: fills in source_id, source_seq and, if 0, wall_ns; cuts detail to 4 KiB.
  void Report(v1::LifecycleEvent event);

  // For the end of the process: waits until everything is acknowledged, at most `timeout_ms`;
  // spools what is not and removes the journal. If spooling fails the journal stays, for the
  // `delete` command. Then `done`, never before Finish returns. Nothing may be reported afterwards.
  void Finish(int64_t timeout_ms, std::function<void(base::Status)> done);

  const std::string& source_id() const { return options_.source_id; }
  bool all_acknowledged() const { return queue_.empty() && !more_in_journal_; }
  // Events that neither memory nor the journal could take. They leave a gap in source_seq.
  uint64_t lost_events() const { return lost_events_; }

 private:
  struct Question;

  static ttrpc::Client::Callback AnswerTo(AdmitCallback callback);
  void Ask(std::shared_ptr<Question> question);
  void Attempt(const std::shared_ptr<Question>& question);
  void AttemptLater(const std::shared_ptr<Question>& question, const base::Error& cause);
  base::Error Unavailable(base::Code code, const base::Error& cause) const;
  void ScheduleSend();
  void SendBatch();
  v1::ReportRequest NextBatch() const;
  void OnReportAnswer(const std::string& batch_source, uint64_t batch_last_seq,
                      base::Result<std::string> answer);
  void RetryReportLater(const base::Error& cause);
  void RefillFromJournal();
  void OnAcknowledged();
  void FinishNow();
  base::Status SpoolRemainder();

  base::EventLoop& loop_;
  const base::Clock& clock_;
  GateClientOptions options_;
  std::unique_ptr<EventJournal> journal_;
  Connection connection_;

  std::deque<v1::LifecycleEvent> queue_;  // unacknowledged, in order; the journal holds them too
  // The first event that is in the journal but was not in queue_.
  EventJournal::Position next_in_journal_;
  bool more_in_journal_ = false;
  uint64_t next_seq_ = 1;
  bool report_in_flight_ = false;
  bool send_scheduled_ = false;
  int64_t report_backoff_ms_ = 0;
  bool daemon_away_logged_ = false;
  bool journal_failure_logged_ = false;
  base::EventLoop::TimerId report_timer_ = 0;
  base::EventLoop::TimerId finish_timer_ = 0;
  std::function<void(base::Status)> finished_;
  uint64_t lost_events_ = 0;
  std::shared_ptr<bool> alive_;  // posted tasks and timers hold it weakly
};

}  // namespace bulwark::shim
