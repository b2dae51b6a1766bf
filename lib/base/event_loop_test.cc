#include "lib/base/event_loop.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "lib/base/unique_fd.h"

namespace bulwark::base {
namespace {

class EventLoopTest : public testing::Test {
 protected:
  // A descriptor that is readable until it is drained.
  UniqueFd Readable() const {
    UniqueFd fd(eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
    EXPECT_TRUE(fd.is_open());
    return fd;
  }
  void Turn(int timeout_ms = 0) { ASSERT_TRUE(loop_->RunOnce(timeout_ms)); }

  std::unique_ptr<EventLoop> loop_ = EventLoop::Create().value();
};

TEST_F(EventLoopTest, ReadyDescriptorsAreReportedUntilUnwatched) {
  const UniqueFd fd = Readable();
  int calls = 0;
  ASSERT_TRUE(loop_->Watch(fd.get(), EPOLLIN, [&](uint32_t events) {
    EXPECT_EQ(events, uint32_t{EPOLLIN});
    ++calls;
  }));
  Turn();
  Turn();
  EXPECT_EQ(calls, 2);
  loop_->Unwatch(fd.get());
  Turn();
  EXPECT_EQ(calls, 2);
}

TEST_F(EventLoopTest, WatchingTwiceAndModifyingTheUnknownAreErrors) {
  const UniqueFd fd = Readable();
  EXPECT_EQ(loop_->Modify(fd.get(), EPOLLIN).error().code(), Code::kNotFound);
  ASSERT_TRUE(loop_->Watch(fd.get(), 0, [](uint32_t) {}));
  EXPECT_EQ(loop_->Watch(fd.get(), 0, [](uint32_t) {}).error().code(), Code::kAlreadyExists);
  EXPECT_EQ(loop_->Watch(-1, 0, [](uint32_t) {}).error().os_errno(), EBADF);
  loop_->Unwatch(12345);
}

TEST_F(EventLoopTest, ModifyChangesWhatIsReported) {
  const UniqueFd fd = Readable();
  int calls = 0;
  ASSERT_TRUE(loop_->Watch(fd.get(), 0, [&](uint32_t) { ++calls; }));
  Turn();
  EXPECT_EQ(calls, 0);
  ASSERT_TRUE(loop_->Modify(fd.get(), EPOLLIN));
  Turn();
  EXPECT_EQ(calls, 1);
}

TEST_F(EventLoopTest, ACallbackMayUnwatchItselfAndOthersThatAreReadyToo) {
  const UniqueFd fds[] = {Readable(), Readable(), Readable()};
  int calls = 0;
  for (const UniqueFd& fd : fds) {
    ASSERT_TRUE(loop_->Watch(fd.get(), EPOLLIN, [&](uint32_t) {
      ++calls;
      for (const UniqueFd& other : fds) loop_->Unwatch(other.get());
    }));
  }
  Turn();
  Turn();
  EXPECT_EQ(calls, 1);
}

TEST_F(EventLoopTest, AnEventOfAClosedDescriptorNeverReachesTheOneThatReusesItsNumber) {
  UniqueFd fds[] = {Readable(), Readable()};
  const int numbers[] = {fds[0].get(), fds[1].get()};
  int first_calls = 0;
  int reused_calls = 0;
  const auto replace_other = [&](size_t other) {
    ++first_calls;
    loop_->Unwatch(numbers[other]);
    fds[other].Reset();
    fds[other] = UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));  // not readable
    ASSERT_EQ(fds[other].get(), numbers[other]);
    ASSERT_TRUE(loop_->Watch(numbers[other], EPOLLIN, [&](uint32_t) { ++reused_calls; }));
  };
  ASSERT_TRUE(loop_->Watch(numbers[0], EPOLLIN, [&](uint32_t) { replace_other(1); }));
  ASSERT_TRUE(loop_->Watch(numbers[1], EPOLLIN, [&](uint32_t) { replace_other(0); }));
  Turn();
  EXPECT_EQ(first_calls, 1);
  EXPECT_EQ(reused_calls, 0);
}

TEST_F(EventLoopTest, ACallbackMayReplaceItsOwnWatch) {
  const UniqueFd fd = Readable();
  int old_calls = 0;
  int new_calls = 0;
  ASSERT_TRUE(loop_->Watch(fd.get(), EPOLLIN, [&](uint32_t) {
    ++old_calls;
    loop_->Unwatch(fd.get());
    ASSERT_TRUE(loop_->Watch(fd.get(), EPOLLIN, [&](uint32_t) { ++new_calls; }));
  }));
  Turn();
  Turn();
  EXPECT_EQ(old_calls, 1);
  EXPECT_EQ(new_calls, 1);
}

TEST_F(EventLoopTest, TimersRunOnceInOrderOfTheirDeadlines) {
  std::vector<int> order;
  loop_->AddTimer(20, [&] { order.push_back(20); });
  loop_->AddTimer(5, [&] { order.push_back(5); });
  loop_->AddTimer(5, [&] { order.push_back(6); });
  loop_->AddTimer(25, [&] { loop_->Stop(); });
  ASSERT_TRUE(loop_->Run());
  EXPECT_EQ(order, (std::vector<int>{5, 6, 20}));
}

TEST_F(EventLoopTest, ACancelledTimerNeverRunsAndFreesWhatItHeld) {
  auto held = std::make_shared<int>(1);
  const auto id = loop_->AddTimer(0, [held] { FAIL() << "was cancelled"; });
  EXPECT_EQ(held.use_count(), 2);
  loop_->CancelTimer(id);
  EXPECT_EQ(held.use_count(), 1);
  loop_->CancelTimer(id);
  loop_->CancelTimer(0);
  Turn(5);
}

TEST_F(EventLoopTest, ATimerMayCancelAnotherThatIsDue) {
  bool other_ran = false;
  EventLoop::TimerId other = 0;
  loop_->AddTimer(0, [&] { loop_->CancelTimer(other); });
  other = loop_->AddTimer(0, [&] { other_ran = true; });
  Turn(5);
  Turn(5);
  EXPECT_FALSE(other_ran);
}

TEST_F(EventLoopTest, ATimerThatKeepsAddingItselfStarvesNobody) {
  int timer_runs = 0;
  std::function<void()> again = [&] {
    ++timer_runs;
    loop_->AddTimer(0, again);
  };
  loop_->AddTimer(0, again);
  bool posted_ran = false;
  loop_->Post([&] { posted_ran = true; });
  Turn(1);
  EXPECT_EQ(timer_runs, 1);
  EXPECT_TRUE(posted_ran);
}

TEST_F(EventLoopTest, ATaskThatPostsItselfStarvesNobody) {
  int runs = 0;
  std::function<void()> again = [&] {
    ++runs;
    loop_->Post(again);
  };
  loop_->Post(again);
  Turn();
  EXPECT_EQ(runs, 1);
  Turn();
  EXPECT_EQ(runs, 2);
}

TEST_F(EventLoopTest, TasksOfOtherThreadsRunOnTheLoopsThreadInTheirOrder) {
  constexpr int kThreads = 4;
  constexpr int kTasks = 500;
  std::vector<int> last(kThreads, -1);
  int done = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kTasks; ++i) {
        loop_->Post([&, t, i] {
          EXPECT_EQ(last[static_cast<size_t>(t)], i - 1);
          last[static_cast<size_t>(t)] = i;
          if (++done == kThreads * kTasks) loop_->Stop();
        });
      }
    });
  }
  ASSERT_TRUE(loop_->Run());
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(done, kThreads * kTasks);
}

TEST_F(EventLoopTest, StopLeavesTheRestForTheNextRun) {
  std::vector<int> ran;
  loop_->Post([&] {
    ran.push_back(1);
    loop_->Stop();
  });
  loop_->Post([&] { ran.push_back(2); });
  ASSERT_TRUE(loop_->Run());
  EXPECT_EQ(ran, std::vector<int>{1});
  loop_->Post([&] {
    ran.push_back(3);
    loop_->Stop();
  });
  ASSERT_TRUE(loop_->Run());
  EXPECT_EQ(ran, (std::vector<int>{1, 2, 3}));
}

TEST_F(EventLoopTest, AnEdgeTriggeredEventSurvivesAStop) {
  const UniqueFd fds[] = {Readable(), Readable()};
  int calls = 0;
  for (const UniqueFd& fd : fds) {
    ASSERT_TRUE(loop_->Watch(fd.get(), EPOLLIN | EPOLLET, [&](uint32_t) {
      ++calls;
      loop_->Stop();
    }));
  }
  ASSERT_TRUE(loop_->Run());
  EXPECT_EQ(calls, 1);
  ASSERT_TRUE(loop_->Run());
  EXPECT_EQ(calls, 2);
}

TEST_F(EventLoopTest, StopFromAnotherThreadEndsAnIdleLoop) {
  std::thread stopper([&] { loop_->Stop(); });
  ASSERT_TRUE(loop_->Run());
  stopper.join();
}

}  // namespace
}  // namespace bulwark::base
