// Audit.Read and Audit.Explain of api.proto. Reading the log is itself recorded, once per call.
#pragma once

#include <memory>

#include "bulwark/v1/api.grpc.pb.h"
#include "plugin/audit/audit_log.h"

namespace bulwark::api {

// `log` is not owned and outlives the service.
std::unique_ptr<grpc::Service> MakeAuditService(audit::AuditLog& log);

}  // namespace bulwark::api
