#include "plugin/daemon/daemon.h"

#include <unistd.h>

#include <mutex>
#include <utility>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/file_io.h"
#include "lib/base/logging.h"
#include "plugin/admission/admission.h"
#include "plugin/admission/content_signatures.h"
#include "plugin/admission/lifecycle_recorder.h"
#include "plugin/admission/spool_ingester.h"
#include "plugin/api/api_server.h"
#include "plugin/api/audit_service.h"
#include "plugin/api/gate_server.h"
#include "plugin/api/image_service.h"
#include "plugin/api/node_service.h"
#include "plugin/audit/audit_log.h"
#include "plugin/audit/source_index.h"
#include "plugin/containerd/client.h"
#include "plugin/evidence/evidence_store.h"
#include "plugin/policy/policy_store.h"
#include "plugin/trust/public_key.h"

namespace bulwark::daemon {
namespace {

constexpr char kVersion[] = BULWARK_VERSION;
constexpr int kSpoolIntervalMs = 5000;
constexpr int kProblemsShownMax = 10;  // of evidence, in Status

std::string DirectoryOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

// A key that no signature can be verified with rejects the policy when it is loaded, not the first start under it.
base::Status CheckKey(const std::string& pem) {
  auto key = trust::PublicKey::FromPem(pem);
  return key ? base::OkStatus() : base::Status(std::move(key).error());
}

base::Result<std::unique_ptr<audit::AuditLog>> OpenLog(const config::Config& config) {
  audit::AuditLogOptions options;
  options.directory = config.audit.directory;
  options.segment_bytes = static_cast<uint64_t>(config.audit.segment_bytes);
  options.reserve_bytes = static_cast<uint64_t>(config.audit.reserve_bytes);
  return audit::AuditLog::Open(std::move(options));
}

// File names may hold any bytes; protobuf takes UTF-8 only, and without it the whole status could not be sent.
std::string Printable(std::string text) {
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte > 0x7e) c = '?';
  }
  return text;
}

void AddProblem(const std::string& path, const std::string& problem, v1::FileProblem* out) {
  out->set_path(Printable(path));
  out->set_problem(Printable(problem));
}

base::Status MakeDirectoriesOf(const config::Config& config) {
  for (const std::string& directory : {DirectoryOf(config.gate.socket), DirectoryOf(config.api.socket),
                                       DirectoryOf(config.state.database), config.spool.directory,
                                       config.evidence.directory}) {
    RETURN_IF_ERROR(base::MakeDirectories(directory, 0700));
  }
  return base::OkStatus();
}

// What a container must not get at: with any of these it could write its own rules, evidence or record, or ask containerd
// for a container that is not judged. The directories of the package are protected wherever the configuration points.
admission::OwnPaths OwnPathsOf(const config::Config& config) {
  admission::OwnPaths own;
  own.protected_paths = {"/etc/bulwark", "/run/bulwark", "/var/lib/bulwark"};
  for (const std::string& directory : {config.policy.directory, config.evidence.directory, config.audit.directory,
                                       config.spool.directory}) {
    own.protected_paths.push_back(directory);
  }
  for (const std::string& directory : config.profiles.directories) own.protected_paths.push_back(directory);
  for (const std::string& file : {config.gate.socket, config.api.socket, config.state.database,
                                  config.containerd.address}) {
    // A directory such as /run or /tmp is not ours alone: then only the file is.
    const std::string directory = DirectoryOf(file);
    own.protected_paths.push_back(directory.rfind('/') == 0 || directory.empty() ? file : directory);
  }
  // Every pod's shm and image volumes are here, in containerd's state directory (containerd, pkg/cri:
  // getVolatileSandboxDir). That is the socket's directory, or below it as k0s and MicroK8s have it.
  for (const char* state : {"", "/containerd"}) {
    for (const char* kind : {"/sandboxes", "/image-volumes"}) {
      own.unprotected_paths.push_back(DirectoryOf(config.containerd.address) + state +
                                      "/io.containerd.grpc.v1.cri" + kind);
    }
  }
  return own;
}

}  // namespace

// In order of construction; members are destroyed in reverse.
struct Daemon::Parts {
  Parts(const config::Config& from, std::unique_ptr<audit::AuditLog> opened_log,
        std::unique_ptr<audit::SourceIndex> rebuilt_sources, std::unique_ptr<admission::ContainerStore> opened_store)
      : config(from),
        log(std::move(opened_log)),
        sources(std::move(rebuilt_sources)),
        containers(std::move(opened_store)),
        policies(from.policy.directory, CheckKey),
        profiles(from.profiles.directories),
        evidence(from.evidence.directory),
        client(from.containerd.address, from.containerd.timeout_ms),
        resolver(client),
        content(client),
        judge(evidence, content, base::SystemClock()),
        admission({policies, resolver, judge, profiles, *containers, *log, OwnPathsOf(from)}),
        lifecycle(*log, *sources, *containers),
        spool(from.spool.directory, lifecycle) {}

  const config::Config config;
  const int64_t started_wall_ns = base::SystemClock().WallNanos();
  const std::unique_ptr<audit::AuditLog> log;
  const std::unique_ptr<audit::SourceIndex> sources;
  const std::unique_ptr<admission::ContainerStore> containers;
  policy::PolicyStore policies;
  admission::ProfileSource profiles;
  evidence::EvidenceStore evidence;
  containerd::Client client;
  admission::IdentityResolver resolver;
  admission::ContentSignatures content;
  admission::ImageJudge judge;
  admission::Admission admission;
  admission::LifecycleRecorder lifecycle;
  admission::SpoolIngester spool;
  std::vector<std::unique_ptr<grpc::Service>> services;
  std::unique_ptr<api::GateServer> gate;
  std::unique_ptr<api::ApiServer> api;
  std::mutex reload_mutex;
};

Daemon::Daemon(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

base::Result<std::unique_ptr<Daemon>> Daemon::Start(const config::Config& config) {
  RETURN_IF_ERROR(MakeDirectoriesOf(config));
  ASSIGN_OR_RETURN(auto log, OpenLog(config));
  ASSIGN_OR_RETURN(auto sources, audit::SourceIndex::Rebuild(config.audit.directory));
  ASSIGN_OR_RETURN(auto containers, admission::ContainerStore::Open(config.state.database));
  std::unique_ptr<Daemon> daemon(
      new Daemon(std::make_unique<Parts>(config, std::move(log), std::move(sources), std::move(containers))));
  const v1::ReloadResponse loaded = daemon->Reload();
  if (!loaded.applied()) {
    base::LogError(loaded.policy_applied()
                       ? "profiles are broken: what needs them is denied until they are mended"
                       : "the policy is broken: every start and exec is denied until it is mended",
                   {{"error", loaded.error()}});
  }
  // What shims could not deliver while no daemon ran comes before anything new.
  // Trouble there is no reason to keep the node from starting containers: it is tried again every few seconds.
  if (auto taken = daemon->parts_->spool.IngestOnce(); !taken) {
    base::LogError("reading the spool failed", {{"error", taken.error().message()}});
  }
  daemon->parts_->spool.Start(kSpoolIntervalMs);
  RETURN_IF_ERROR(daemon->OpenSockets());
  return daemon;
}

base::Status Daemon::OpenSockets() {
  Parts& parts = *parts_;
  parts.services.push_back(api::MakeNodeService({[this] { return Status(); }, [this] { return Reload(); }}));
  parts.services.push_back(api::MakeImageService(parts.policies, parts.resolver, parts.judge));
  parts.services.push_back(api::MakeAuditService(*parts.log));
  std::vector<grpc::Service*> services;
  for (const auto& service : parts.services) services.push_back(service.get());
  ASSIGN_OR_RETURN(parts.api, api::ApiServer::Start(parts.config.api.socket, services, *parts.log));
  ASSIGN_OR_RETURN(parts.gate, api::GateServer::Start({parts.config.gate.socket,
                                                       static_cast<size_t>(parts.config.gate.workers),
                                                       static_cast<size_t>(parts.config.gate.queue_max)},
                                                      {parts.admission, parts.lifecycle, *parts.log}));
  return base::OkStatus();
}

Daemon::~Daemon() {
  parts_->api.reset();
  parts_->gate.reset();
  if (auto closed = parts_->log->Close(); !closed) {
    base::LogError("the audit log did not close cleanly", {{"error", closed.error().message()}});
  }
}

v1::ReloadResponse Daemon::Reload() {
  Parts& parts = *parts_;
  const std::lock_guard lock(parts.reload_mutex);
  v1::ReloadResponse response;
  if (auto status = parts.policies.Reload(); !status) response.set_policy_error(status.error().message());
  if (auto status = parts.profiles.Reload(); !status) response.set_profiles_error(Printable(status.error().message()));
  parts.evidence.Refresh();
  RecordPolicyLoad(response.policy_error());
  if (!response.profiles_error().empty()) RecordProfileErrors(response.profiles_error());
  response.set_policy_applied(response.policy_error().empty());
  response.set_profiles_applied(response.profiles_error().empty());
  response.set_applied(response.policy_applied() && response.profiles_applied());
  const bool are_both_broken = !response.policy_applied() && !response.profiles_applied();
  response.set_error(response.policy_error() + (are_both_broken ? "; " : "") + response.profiles_error());
  response.set_policy_digest(parts.policies.Current()->digest());
  return response;
}

void Daemon::RecordPolicyLoad(const std::string& error) {
  const auto policies = parts_->policies.Current();
  v1::AuditRecord record;
  record.set_event_type(error.empty() ? v1::POLICY_LOAD : v1::POLICY_REJECT);
  record.set_outcome(error.empty() ? v1::OBSERVED : v1::ERROR);
  record.mutable_policy()->set_digest(policies->digest());
  record.mutable_policy()->set_file(parts_->policies.directory());
  record.set_message(error.empty() ? std::to_string(policies->rules().size()) + " rules" : error);
  parts_->log->Append(std::move(record), audit::Lane::kWayDown, nullptr);
}

void Daemon::RecordProfileErrors(const std::string& error) {
  v1::AuditRecord record;
  record.set_event_type(v1::CONFIG_REJECT);
  record.set_outcome(v1::ERROR);
  record.set_message("seccomp profiles: " + error);
  parts_->log->Append(std::move(record), audit::Lane::kWayDown, nullptr);
}

// Evidence and profiles, and which of their files cannot be read.
void Daemon::FillFiles(v1::StatusResponse& status) {
  status.set_evidence_objects(static_cast<uint32_t>(parts_->evidence.object_count()));
  for (const profiles::StoredProfile& profile : parts_->profiles.Current()->List()) {
    if (profile.profile != nullptr) status.add_profiles(profile.name);
    if (!profile.error.empty()) AddProblem(profile.error_path, profile.error, status.add_profile_problems());
  }
  status.set_evidence_problem_count(static_cast<uint32_t>(parts_->evidence.problem_count()));
  for (const evidence::Problem& problem : parts_->evidence.Problems()) {
    if (status.evidence_problems_size() == kProblemsShownMax) break;
    AddProblem(problem.path, problem.problem, status.add_evidence_problems());
  }
}

v1::StatusResponse Daemon::Status() {
  Parts& parts = *parts_;
  const auto policies = parts.policies.Current();
  const audit::AuditLogStatus log = parts.log->Status();
  const admission::Counters counters = parts.admission.CountersNow();
  v1::StatusResponse status;
  status.set_version(kVersion);
  status.set_pid(static_cast<uint32_t>(getpid()));
  status.set_started_wall_ns(parts.started_wall_ns);
  status.set_policy_digest(policies->digest());
  status.set_policy_rules(static_cast<uint32_t>(policies->rules().size()));
  status.set_policy_mode(std::string(policy::ModeName(policies->defaults().mode)));
  status.set_policy_error(parts.policies.last_error());
  status.set_containerd_address(parts.config.containerd.address);
  if (auto version = parts.client.Version()) {
    status.set_containerd_reachable(true);
    status.set_containerd_version(*version);
  }
  status.set_audit_directory(log.directory);
  status.set_audit_last_sequence(log.durable_sequence);
  status.set_audit_error(log.last_error);
  status.set_decisions_allowed(counters.allowed);
  status.set_decisions_denied(counters.denied);
  status.set_gate_socket(parts.config.gate.socket);
  FillFiles(status);
  return status;
}

}  // namespace bulwark::daemon
