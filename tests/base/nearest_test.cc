#include "base/nearest.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lodestone {
namespace {

TEST(Nearest, FindsSlipsAndPrefixes) {
  const std::vector<std::string> names = {"--users", "--tokens", "--temperature", "--top-k"};
  EXPECT_EQ(Nearest("--user", names), "--users");
  EXPECT_EQ(Nearest("--tokns", names), "--tokens");
  EXPECT_EQ(Nearest("--temp", names), "--temperature");
  EXPECT_EQ(Nearest("--zzzzzzz", names), std::nullopt);
}

TEST(Nearest, ShortWordsAreNotAllAlike) {
  const std::vector<std::string> names = {"ab", "cd"};
  EXPECT_EQ(Nearest("xy", names), std::nullopt);  // two edits turn any two letters into any others
}

TEST(Nearest, LongWordsAreNotSearched) {
  EXPECT_EQ(Nearest(std::string(1 << 20, 'x'), std::vector<std::string>{"x"}), std::nullopt);
  EXPECT_EQ(Nearest("x", {}), std::nullopt);
}

}  // namespace
}  // namespace lodestone
