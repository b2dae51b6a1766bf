#include "plugin/api/peer.h"

#include <unistd.h>

#include <utility>

#include "lib/base/logging.h"

namespace bulwark::api {

bool MayUseSockets(const base::PeerCredentials& peer) { return peer.uid == 0 || peer.uid == geteuid(); }

void RecordRefusedPeer(audit::Recorder& recorder, const std::string& socket_path, const base::PeerCredentials& peer) {
  base::LogWarn("a peer without the right connected", {{"socket", socket_path},
                                                       {"uid", std::to_string(peer.uid)},
                                                       {"pid", std::to_string(peer.pid)}});
  v1::AuditRecord record;
  record.set_event_type(v1::ACCESS_REFUSED);
  record.set_outcome(v1::DENIED);
  record.set_reason_code("access.peer");
  record.set_message(socket_path + " is for root only");
  v1::Principal* principal = record.mutable_principal();
  principal->set_kind("unix");
  principal->set_id(std::to_string(peer.uid));
  principal->set_source("peercred");
  principal->set_uid(peer.uid);
  principal->set_pid(static_cast<uint32_t>(peer.pid));
  recorder.Append(std::move(record), audit::Lane::kWayDown, nullptr);
}

}  // namespace bulwark::api
