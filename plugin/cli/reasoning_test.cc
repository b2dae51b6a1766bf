#include "plugin/cli/reasoning.h"

#include <gtest/gtest.h>

namespace bulwark::cli {
namespace {

TEST(Printable, ControlCharactersCannotReachTheTerminal) {
  EXPECT_EQ(Printable("a\x1b[2Jb\n\r\x7f"), "a?[2Jb???");
  EXPECT_EQ(Printable("\xc2\x9b" "31m"), "?31m") << "CSI as one C1 character";
  EXPECT_EQ(Printable("gr\xc3\xbc\xc3\x9f \xe6\xb0\xb4"), "gr\xc3\xbc\xc3\x9f \xe6\xb0\xb4");
  EXPECT_EQ(Printable("\xc2"), "\xc2");
}

}  // namespace
}  // namespace bulwark::cli
