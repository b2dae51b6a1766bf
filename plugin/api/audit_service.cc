#include "plugin/api/audit_service.h"

#include <utility>

#include "plugin/audit/log_reader.h"

namespace bulwark::api {
namespace {

constexpr int kFollowTurnMs = 250;  // how soon a reader that went away is noticed

grpc::Status ToGrpc(const base::Error& error) {
  return {static_cast<grpc::StatusCode>(error.code()), error.message()};
}

void RecordRead(audit::AuditLog& log, std::string what) {
  v1::AuditRecord record;
  record.set_event_type(v1::RECORD_READ);
  record.set_outcome(v1::OBSERVED);
  record.set_message(std::move(what));
  // The socket lets in root and the daemon's own user only; gRPC does not carry which process it was.
  record.mutable_principal()->set_kind("unix");
  record.mutable_principal()->set_id("0");
  record.mutable_principal()->set_source("peercred");
  log.Append(std::move(record), audit::Lane::kWayDown, nullptr);
}

void Fill(const audit::StoredRecord& stored, v1::RecordEntry* entry) {
  *entry->mutable_record() = stored.record;
  entry->set_chain_hash(stored.chain_hash.data(), stored.chain_hash.size());
}

class AuditService final : public v1::Audit::Service {
 public:
  explicit AuditService(audit::AuditLog& log) : log_(log) {}

  grpc::Status Read(grpc::ServerContext* context, const v1::ReadRecordsRequest* request,
                    grpc::ServerWriter<v1::RecordEntry>* writer) override {
    audit::ReadOptions options;
    options.from_sequence = request->from_sequence();
    options.last = request->last();
    options.filter = {request->container_id(), request->event_type(),    request->outcome(),      request->image(),
                      request->decision_id(),  request->since_wall_ns(), request->until_wall_ns()};
    auto reader = audit::LogReader::Open(log_.Status().directory, options, &log_);
    if (!reader) return ToGrpc(reader.error());
    RecordRead(log_, request->follow() ? "audit log followed" : "audit log read");
    while (!context->IsCancelled()) {
      auto stored = request->follow() ? (*reader)->NextOrWait(kFollowTurnMs) : (*reader)->Next();
      if (!stored) return ToGrpc(stored.error());
      if (!stored->has_value()) {
        if (!request->follow() || log_.Status().state == audit::LogState::kClosed) break;
        continue;
      }
      v1::RecordEntry entry;
      Fill(**stored, &entry);
      if (!writer->Write(entry)) break;
    }
    return grpc::Status::OK;
  }

  grpc::Status Explain(grpc::ServerContext*, const v1::ExplainRequest* request, v1::RecordEntry* response) override {
    audit::ReadOptions options;
    options.filter.decision_id = request->decision_id();
    auto reader = audit::LogReader::Open(log_.Status().directory, options, &log_);
    if (!reader) return ToGrpc(reader.error());
    for (;;) {
      auto stored = (*reader)->Next();
      if (!stored) return ToGrpc(stored.error());
      if (!stored->has_value()) break;
      const v1::EventType type = (*stored)->record.event_type();
      if (type != v1::CREATE_DECISION && type != v1::EXEC_DECISION) continue;
      RecordRead(log_, "decision " + request->decision_id() + " explained");
      Fill(**stored, response);
      return grpc::Status::OK;
    }
    return {grpc::StatusCode::NOT_FOUND, "no decision " + request->decision_id() + " in this log"};
  }

 private:
  audit::AuditLog& log_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeAuditService(audit::AuditLog& log) { return std::make_unique<AuditService>(log); }

}  // namespace bulwark::api
