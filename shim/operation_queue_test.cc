#include "shim/operation_queue.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace bulwark::shim {
namespace {

using Kind = OperationQueue::Kind;

class OperationQueueTest : public testing::Test {
 protected:
  // Submits an operation that runs until its token is taken out of tokens_.
  void Submit(Kind kind, const std::string& name) {
    queue_.Submit(kind, [this, name](OperationQueue::Token token) {
      started_.push_back(name);
      tokens_.push_back(std::move(token));
    });
  }
  void EndOldest() {
    // Taken out first: ending one starts the next, which adds its own token.
    OperationQueue::Token token = std::move(tokens_.front());
    tokens_.erase(tokens_.begin());
    token.reset();
  }

  OperationQueue queue_;
  std::vector<std::string> started_;
  std::vector<OperationQueue::Token> tokens_;
};

TEST_F(OperationQueueTest, SharedOperationsRunBesideEachOther) {
  Submit(Kind::kShared, "a");
  Submit(Kind::kShared, "b");
  EXPECT_EQ(started_, (std::vector<std::string>{"a", "b"}));
}

TEST_F(OperationQueueTest, AnExclusiveOperationRunsAlone) {
  Submit(Kind::kShared, "a");
  Submit(Kind::kExclusive, "b");
  Submit(Kind::kExclusive, "c");
  EXPECT_EQ(started_, (std::vector<std::string>{"a"}));
  EndOldest();
  EXPECT_EQ(started_, (std::vector<std::string>{"a", "b"}));
  EndOldest();
  EXPECT_EQ(started_, (std::vector<std::string>{"a", "b", "c"}));
}

TEST_F(OperationQueueTest, AWaitingExclusiveOperationIsNotOvertaken) {
  Submit(Kind::kShared, "a");
  Submit(Kind::kExclusive, "b");
  Submit(Kind::kShared, "c");
  EXPECT_EQ(started_, (std::vector<std::string>{"a"}));
  EndOldest();
  EXPECT_EQ(started_, (std::vector<std::string>{"a", "b"}));
  EndOldest();
  EXPECT_EQ(started_, (std::vector<std::string>{"a", "b", "c"}));
}

TEST_F(OperationQueueTest, OperationsThatEndAtOnceDoNotRecurse) {
  int runs = 0;
  Submit(Kind::kExclusive, "first");
  for (int i = 0; i < 100'000; ++i) {
    queue_.Submit(Kind::kExclusive, [&runs](const OperationQueue::Token&) { ++runs; });
  }
  EndOldest();
  EXPECT_EQ(runs, 100'000);
}

TEST(OperationQueue, NothingStartsAfterClose) {
  OperationQueue queue;
  OperationQueue::Token kept;
  int later = 0;
  queue.Submit(Kind::kExclusive, [&](OperationQueue::Token token) { kept = std::move(token); });
  queue.Submit(Kind::kExclusive, [&](const OperationQueue::Token&) { ++later; });
  queue.Close();
  queue.Submit(Kind::kShared, [&](const OperationQueue::Token&) { ++later; });
  kept.reset();
  EXPECT_EQ(later, 0);
}

TEST(OperationQueue, TokensMayOutliveTheQueue) {
  OperationQueue::Token kept;
  bool second_ran = false;
  {
    OperationQueue queue;
    queue.Submit(Kind::kExclusive, [&](OperationQueue::Token token) { kept = std::move(token); });
    queue.Submit(Kind::kExclusive, [&](const OperationQueue::Token&) { second_ran = true; });
  }
  kept.reset();
  EXPECT_FALSE(second_ran);
}

}  // namespace
}  // namespace bulwark::shim
