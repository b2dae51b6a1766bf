#include "shim/link/connection.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace bulwark::shim {
namespace {

using base::Code;

class ConnectionTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(mkdtemp(directory_.data()), nullptr);
    path_ = directory_ + "/s";
    listener_ = base::ListenUnix(path_, 0600).value();
  }
  void TearDown() override {
    unlink(path_.c_str());
    rmdir(directory_.c_str());
  }
  void Call(Connection& connection, const std::string& name) {
    ASSERT_TRUE(connection.Call("s", "m", "", {}, [this, name](base::Result<std::string> answer) {
      told_.push_back(name);
      ASSERT_FALSE(answer);
      EXPECT_EQ(answer.error().code(), Code::kUnavailable);
    }));
  }
  void RunFor(int turns) {
    for (int i = 0; i < turns; ++i) ASSERT_TRUE(loop_->RunOnce(5));
  }

  std::string directory_ = "/tmp/bulwark-connection-XXXXXX";
  std::string path_;
  base::UniqueFd listener_;
  std::unique_ptr<base::EventLoop> loop_ = std::move(*base::EventLoop::Create());
  std::vector<std::string> told_;
};

TEST_F(ConnectionTest, EveryCallOfABrokenConnectionIsToldThoughAnotherFollowsInTheSameTurn) {
  Connection connection(*loop_, path_);
  base::UniqueFd second_peer;
  loop_->AddTimer(0, [&] {
    Call(connection, "before");
    base::AcceptUnix(listener_.get()).value().Reset();
    Call(connection, "breaks the output");
    Call(connection, "on a new connection");
    second_peer = base::AcceptUnix(listener_.get()).value();
  });
  RunFor(10);
  EXPECT_EQ(told_, (std::vector<std::string>{"before", "breaks the output"}));
  second_peer.Reset();
  RunFor(10);
  ASSERT_EQ(told_.size(), 3u);
  EXPECT_EQ(told_.back(), "on a new connection");
}

TEST_F(ConnectionTest, ACallbackMayCallAgain) {
  Connection connection(*loop_, path_);
  ASSERT_TRUE(connection.Call("s", "m", "", {}, [&](const base::Result<std::string>&) {
    Call(connection, "again");
  }));
  base::AcceptUnix(listener_.get()).value().Reset();
  RunFor(10);
  EXPECT_TRUE(told_.empty());
  base::AcceptUnix(listener_.get()).value().Reset();
  RunFor(10);
  EXPECT_EQ(told_, (std::vector<std::string>{"again"}));
}

TEST_F(ConnectionTest, NothingIsToldAfterADrop) {
  Connection connection(*loop_, path_);
  Call(connection, "a");
  base::AcceptUnix(listener_.get()).value().Reset();
  Call(connection, "b");
  Call(connection, "c");
  connection.Drop();
  RunFor(10);
  EXPECT_TRUE(told_.empty());
}

}  // namespace
}  // namespace bulwark::shim
