#include "base/log.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace lodestone {
namespace {

class LogTest : public ::testing::Test {
 protected:
  void TearDown() override { SetLogLevel(before_); }
  LogLevel before_ = CurrentLogLevel();
};

std::string Captured(LogLevel level, std::string_view message) {
  ::testing::internal::CaptureStderr();
  Log(level, message);
  return ::testing::internal::GetCapturedStderr();
}

TEST_F(LogTest, OneLineWithItsLevel) {
  SetLogLevel(LogLevel::kDebug);
  EXPECT_EQ(Captured(LogLevel::kWarning, "slow disk"), "lodestone: warning: slow disk\n");
  EXPECT_EQ(Captured(LogLevel::kError, "{}"), "lodestone: error: {}\n");
  EXPECT_EQ(Captured(LogLevel::kInfo, ""), "lodestone: info: \n");
  EXPECT_EQ(Captured(LogLevel::kDebug, "d"), "lodestone: debug: d\n");
}

TEST_F(LogTest, DropsWhatIsAboveTheLevel) {
  SetLogLevel(LogLevel::kWarning);
  EXPECT_EQ(CurrentLogLevel(), LogLevel::kWarning);
  EXPECT_EQ(Captured(LogLevel::kInfo, "m"), "");
  EXPECT_NE(Captured(LogLevel::kWarning, "m"), "");
  SetLogLevel(LogLevel::kQuiet);
  EXPECT_EQ(Captured(LogLevel::kError, "m"), "");
  EXPECT_EQ(Captured(LogLevel::kQuiet, "m"), "");
}

// The environment is read once a process, so each value needs a process of its own: a threadsafe death test runs the
// test anew, and the variable is set before the level is first asked for.
int LevelUnder(const char* text) {
  if (text == nullptr) {
    ::unsetenv("LODESTONE_LOG");
  } else {
    ::setenv("LODESTONE_LOG", text, 1);
  }
  return static_cast<int>(CurrentLogLevel());
}

TEST(LogEnvironmentDeathTest, ChoosesTheLevel) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(std::exit(LevelUnder("quiet")), ::testing::ExitedWithCode(static_cast<int>(LogLevel::kQuiet)), "");
  EXPECT_EXIT(std::exit(LevelUnder("debug")), ::testing::ExitedWithCode(static_cast<int>(LogLevel::kDebug)), "");
  EXPECT_EXIT(std::exit(LevelUnder(nullptr)), ::testing::ExitedWithCode(static_cast<int>(LogLevel::kWarning)), "");
}

TEST(LogEnvironmentDeathTest, RefusesAnUnknownLevelByName) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(std::exit(LevelUnder("loud")), ::testing::ExitedWithCode(static_cast<int>(LogLevel::kWarning)),
              "LODESTONE_LOG: found 'loud', expected quiet, error, warning, info or debug");
}

}  // namespace
}  // namespace lodestone
