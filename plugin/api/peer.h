// Who may talk to the daemon's sockets: root, and the user the daemon runs as. Others are disconnected and recorded.
#pragma once

#include <string>

#include "lib/base/unix_socket.h"
#include "plugin/audit/record.h"

namespace bulwark::api {

bool MayUseSockets(const base::PeerCredentials& peer);

// Queues an ACCESS_REFUSED record; does not wait for it.
void RecordRefusedPeer(audit::Recorder& recorder, const std::string& socket_path, const base::PeerCredentials& peer);

}  // namespace bulwark::api
