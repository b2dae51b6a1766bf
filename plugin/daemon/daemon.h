// The daemon as a whole: builds every part, in the order in which they need one another, and takes them down in reverse.
// The only file that knows all areas. No registries, no singletons.
#pragma once

#include <memory>
#include <string>

#include "bulwark/v1/api.pb.h"
#include "lib/base/result.h"
#include "plugin/config/config.h"

namespace bulwark::daemon {

class Daemon {
 public:
  // Opens the audit log, reads policies, profiles, evidence and the spool, then opens the sockets. An error names the
  // part that could not start. A policy that is broken at start is no error: everything is denied until it is mended.
  static base::Result<std::unique_ptr<Daemon>> Start(const config::Config& config);
  // Answers what is being decided, closes the sockets, ends the audit log with AUDIT_STOP.
  ~Daemon();

  // Reads policies, profiles and evidence again. What is broken keeps its last good state; the error says what.
  v1::ReloadResponse Reload();
  v1::StatusResponse Status();

 private:
  struct Parts;
  explicit Daemon(std::unique_ptr<Parts> parts);
  base::Status OpenSockets();
  void RecordPolicyLoad(const std::string& error);
  void RecordProfileErrors(const std::string& error);
  void FillFiles(v1::StatusResponse& status);

  std::unique_ptr<Parts> parts_;
};

}  // namespace bulwark::daemon
