// What the client's and the server's tests share: a server in a temporary directory, and a raw peer
// that writes any bytes it likes. Everything runs on one loop in the test's thread.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/event_loop.h"
#include "lib/base/unique_fd.h"
#include "lib/ttrpc/client.h"
#include "lib/ttrpc/frame.h"
#include "lib/ttrpc/server.h"

namespace bulwark::ttrpc {

// A connection without a Client: sends what it is told, decodes what comes.
class RawPeer {
 public:
  explicit RawPeer(base::UniqueFd socket) : socket_(std::move(socket)) {}

  // Writes as much as the socket takes; returns how much.
  size_t Send(const std::string& bytes);
  // A request frame of service "s" for `method`.
  static std::string Request(uint32_t stream_id, const std::string& method,
                             const std::string& payload);
  static std::string RawFrame(uint32_t length, uint32_t stream_id, uint8_t type,
                              const std::string& payload);

  struct Answer {
    uint32_t stream_id = 0;
    int32_t code = 0;
    std::string message;
    std::string payload;
  };
  // Takes what has arrived. Returns false at the end of the connection.
  bool Receive();
  std::deque<Answer>& answers() { return answers_; }
  base::UniqueFd& socket() { return socket_; }

 private:
  base::UniqueFd socket_;
  FrameDecoder decoder_;
  std::deque<Answer> answers_;
};

class TtrpcTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  void StartServer(ServerOptions options = {});
  base::UniqueFd Connect();
  std::unique_ptr<Client> MakeClient();
  // Turns the loop until `is_done` holds; fails the test after ten seconds.
  void RunUntil(const std::function<bool()>& is_done);
  // Calls and waits for the answer.
  base::Result<std::string> CallAndWait(Client& client, const std::string& method,
                                        const std::string& payload, CallOptions options = {});
  // Runs until `peer` has an answer and takes it; nullopt if the connection ends first.
  std::optional<RawPeer::Answer> NextAnswer(RawPeer& peer);

  std::string dir_;
  std::string path_;
  std::unique_ptr<base::EventLoop> loop_;
  std::unique_ptr<Server> server_;
  // What the server does: "echo" answers with the payload, "hold" keeps the responder in held_,
  // "fail" answers kNotFound, "drop" lets the responder go, "big" answers with as many bytes as the
  // payload's number says.
  std::vector<std::pair<ServerCall, Responder>> held_;
  int calls_seen_ = 0;
  ServerCall last_call_;
};

}  // namespace bulwark::ttrpc
