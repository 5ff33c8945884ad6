#include "lab/peer.h"

#include <gtest/gtest.h>

namespace lodestone::testing {
namespace {

TEST(Peer, ReadsTheArrayOfLlamaBench) {
  const auto rows = ParsePeerRows(R"([
    {"build_commit": "abc", "n_prompt": 512, "n_gen": 0, "n_depth": 0, "avg_ts": 134.5},
    {"n_prompt": 0, "n_gen": 128, "n_depth": 8192, "avg_ts": 50.25}])");
  ASSERT_TRUE(rows.ok()) << rows.error().message;
  EXPECT_EQ(FindPeerRow(*rows, 512, 0, 0, 1), 134.5);
  EXPECT_EQ(FindPeerRow(*rows, 0, 128, 8192, 1), 50.25);
  EXPECT_EQ(FindPeerRow(*rows, 0, 128, 0, 1), std::nullopt);
  EXPECT_EQ(FindPeerRow(*rows, 512, 0, 0, 8), std::nullopt);
}

TEST(Peer, ReadsLinesOfBatchedBenchAmongOthers) {
  const auto rows = ParsePeerRows(
      "loading\n"
      "{\"pp\": 128, \"tg\": 64, \"pl\": 28, \"speed_pp\": 130.0, \"speed_tg\": 95.7, \"speed\": 100}\n"
      "done\n");
  ASSERT_TRUE(rows.ok()) << rows.error().message;
  EXPECT_EQ(FindPeerRow(*rows, 128, 0, 0, 28), 130.0);
  EXPECT_EQ(FindPeerRow(*rows, 0, 64, 128, 28), 95.7);
}

TEST(Peer, RefusesWhatIsNoResult) {
  EXPECT_NE(ParsePeerRows("usage: bench\n").status().error().message.find("no row"), std::string::npos);
  EXPECT_FALSE(ParsePeerRows("").ok());
  EXPECT_FALSE(ParsePeerRows("[]").ok());
  const auto missing = ParsePeerRows(R"({"n_prompt": 1, "n_gen": 0})");
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().message.find("avg_ts"), std::string::npos) << missing.error().message;
  EXPECT_FALSE(ParsePeerRows("{\"n_prompt\": 1, \"n_gen\"\n").ok());
}

TEST(Peer, RunsACommand) {
  const auto rows = RunPeer(R"(echo '{"n_prompt": 5, "n_gen": 0, "avg_ts": 2}')");
  ASSERT_TRUE(rows.ok()) << rows.error().message;
  EXPECT_EQ(FindPeerRow(*rows, 5, 0, 0, 1), 2.0);
}

TEST(Peer, ACommandThatFailsIsNamedWithItsStatus) {
  const auto rows = RunPeer("exit 3");
  ASSERT_FALSE(rows.ok());
  EXPECT_NE(rows.error().message.find("status 3"), std::string::npos) << rows.error().message;
}

}  // namespace
}  // namespace lodestone::testing
