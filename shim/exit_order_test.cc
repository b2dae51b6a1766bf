#include "shim/exit_order.h"

#include <gtest/gtest.h>

namespace bulwark::shim {
namespace {

class ExitOrderTest : public testing::Test {
 protected:
  int told_ = 0;
  uint32_t status_ = 0;
  ExitOrder order_{[this](const ProcessExit& exit) {
    ++told_;
    status_ = exit.status;
  }};
};

TEST_F(ExitOrderTest, TellsAnUnhinderedExitAtOnce) {
  order_.InitExited({7, 1});
  EXPECT_EQ(told_, 1);
  EXPECT_EQ(status_, 7u);
  EXPECT_TRUE(order_.is_told());
}

TEST_F(ExitOrderTest, HoldsTheExitUntilTheStartHasBeenAnswered) {
  order_.InitStartBegan();
  order_.InitExited({0, 1});
  EXPECT_EQ(told_, 0);
  EXPECT_TRUE(order_.has_init_exited());
  order_.InitStartEnded();
  EXPECT_EQ(told_, 1);
}

TEST_F(ExitOrderTest, HoldsTheExitUntilEveryExecHasEnded) {
  order_.ExecBegan();
  order_.ExecBegan();
  order_.InitExited({137, 1});
  order_.ExecEnded();
  EXPECT_EQ(told_, 0);
  order_.ExecEnded();
  EXPECT_EQ(told_, 1);
  EXPECT_EQ(status_, 137u);
}

TEST_F(ExitOrderTest, NeedsBothObstaclesGone) {
  order_.InitStartBegan();
  order_.ExecBegan();
  order_.InitExited({1, 1});
  order_.InitStartEnded();
  EXPECT_EQ(told_, 0);
  order_.ExecEnded();
  EXPECT_EQ(told_, 1);
}

TEST_F(ExitOrderTest, TellsOnlyOnce) {
  order_.InitExited({1, 1});
  order_.ExecBegan();
  order_.ExecEnded();
  order_.InitStartEnded();
  EXPECT_EQ(told_, 1);
}

TEST_F(ExitOrderTest, ExecsThatCameAndWentDoNotHinder) {
  order_.ExecBegan();
  order_.ExecEnded();
  EXPECT_EQ(told_, 0);
  order_.InitExited({3, 1});
  EXPECT_EQ(told_, 1);
}

}  // namespace
}  // namespace bulwark::shim
