// The max-plus recurrence, every sum spelled out. Links of 1e12 bytes/s carry a byte a picosecond.
#include "appliance/chain.h"

#include <gtest/gtest.h>

#include "appliance/fake_cards.h"

namespace lodestone {
namespace {

using testing::FakePlacement;
using testing::Ps;

StageCost Cost(int64_t time_ps, int64_t in, int64_t out) {
  return {.time = Ps(time_ps), .input_bytes = in, .output_bytes = out};
}

Links FastLinks() {
  Links links;
  links.bytes_per_s = 1e12;
  links.latency = Ps(5);
  links.host_turnaround = Ps(7);
  return links;
}

struct Fixture {
  explicit Fixture(Placement p, const Links& links) : placement(std::move(p)), chain(Make(links)) {}
  Chain Make(const Links& links) {
    std::vector<int> cards;
    for (const PlacedStage& placed : placement.stages) cards.push_back(placed.card);
    stats.resize(cards.size());
    return Chain(*StepsOf(placement), cards, links);
  }
  int64_t Send(int64_t now, const std::vector<StageCost>& costs) { return chain.Send(Ps(now), costs, stats).ps; }

  std::vector<StageStats> stats;
  Placement placement;
  Chain chain;
};

TEST(Chain, WithoutLinksTheSlowestCardSetsTheRate) {
  Fixture f(FakePlacement({1, 1}), Links{});
  const std::vector<StageCost> costs{Cost(10, 0, 0), Cost(20, 0, 0)};
  EXPECT_EQ(f.Send(0, costs), 10 + 20);
  EXPECT_EQ(f.Send(0, costs), 10 + 20 + 20);
  EXPECT_EQ(f.Send(0, costs), 10 + 20 + 20 + 20);
  // After a pause the chain is empty: the transit time alone.
  EXPECT_EQ(f.Send(1000, costs), 1000 + 10 + 20);
}

TEST(Chain, ThreePassesOverTwoCardsWithLinks) {
  Fixture f(FakePlacement({1, 1}), FastLinks());
  const std::vector<StageCost> costs{Cost(100, 10, 30), Cost(50, 30, 20)};
  // Host write 10, latency 5: at card 0 at 15. Card 0 until 115. Link 30 and latency 5: at card 1 at 150. Card 1 until
  // 200. Logits 20 and latency 5: at the host at 225. Turn-around 7.
  EXPECT_EQ(f.Send(0, costs), 10 + 5 + 100 + 30 + 5 + 50 + 20 + 5 + 7);
  // Arrives at 25, waits for card 0 until 115; everything 100 later.
  EXPECT_EQ(f.Send(0, costs), 232 + 100);
  EXPECT_EQ(f.Send(0, costs), 232 + 200);
  EXPECT_EQ(f.stats[0].busy, Ps(300));
  EXPECT_EQ(f.stats[1].busy, Ps(150));
}

TEST(Chain, TheLinkCanBeTheSlowestPart) {
  Fixture f(FakePlacement({1, 1}), FastLinks());
  const std::vector<StageCost> costs{Cost(10, 10, 100), Cost(50, 100, 20)};
  // Card 0: 15 to 25. Link 25 to 125, at card 1 at 130, until 180, logits gone at 200, there at 205.
  EXPECT_EQ(f.Send(0, costs), 205 + 7);
  // At card 0 at 25, until 35. The link is busy until 125 and then until 225: all 100 later, although no card is short.
  EXPECT_EQ(f.Send(0, costs), 305 + 7);
}

TEST(Chain, RanksAreServedOneAfterAnotherAndTheSlowestDecides) {
  Fixture f(FakePlacement({1, 2}), FastLinks());
  const std::vector<StageCost> costs{Cost(100, 10, 30), Cost(50, 30, 20), Cost(60, 30, 20)};
  // Card 0 until 115. To rank 0: 115 to 145, there at 150, computes until 200, logits there at 225.
  // To rank 1: 145 to 175, there at 180, computes until 240, logits gone at 260, there at 265.
  EXPECT_EQ(f.Send(0, costs), 265 + 7);
  EXPECT_EQ(f.stats[0].bytes_out, 60);
  EXPECT_EQ(f.stats[1].bytes_in, 30);
  EXPECT_EQ(f.stats[2].bytes_in, 30);
}

TEST(Chain, StagesOfOneCardShareItsArrayAndHandOverAtNoCost) {
  Placement placement = FakePlacement({1, 1, 1});
  placement.stages[1].card = 0;
  placement.stages[2].card = 1;
  Fixture f(placement, FastLinks());
  const std::vector<StageCost> costs{Cost(100, 10, 30), Cost(40, 30, 30), Cost(50, 30, 20)};
  // Card 0: 15 to 115 and on to 155. Link until 185, there at 190. Card 1 until 240, logits there at 265.
  EXPECT_EQ(f.Send(0, costs), 265 + 7);
  // Card 0 is free at 155: 155 to 295. Then as before.
  EXPECT_EQ(f.Send(0, costs), 272 + 140);
  EXPECT_EQ(f.stats[0].bytes_out, 0);
  EXPECT_EQ(f.stats[1].bytes_in, 0);
  EXPECT_EQ(f.stats[1].bytes_out, 60);
}

TEST(Chain, NeighboursInOtherServersUseTheNetwork) {
  Links links = FastLinks();
  links.cards_per_server = 2;
  links.network_bytes_per_s = 1e11;  // ten picoseconds a byte
  links.network_latency = Ps(1000);
  Fixture f(FakePlacement({1, 1, 1}), links);
  const std::vector<StageCost> costs{Cost(100, 10, 30), Cost(100, 30, 30), Cost(100, 30, 20)};
  // Card 0 from 15 to 115, card 1 from 150 to 250. To card 2, in the next server: 30 × 10 + 1000, there at 1550, until
  // 1650. The logits go back to the host of the first card over the network: 20 × 10 + 1000.
  EXPECT_EQ(f.Send(0, costs), 1650 + 1200 + 7);
}

TEST(Chain, StepsNeedAllRanksInOrder) {
  Placement placement = FakePlacement({1, 2});
  EXPECT_EQ(StepsOf(placement)->size(), 2u);
  std::swap(placement.stages[1], placement.stages[2]);
  ASSERT_FALSE(StepsOf(placement).ok());
  EXPECT_NE(StepsOf(placement).error().message.find("expected rank 0 of 2"), std::string::npos);
  placement = FakePlacement({1, 2});
  placement.stages.pop_back();
  ASSERT_FALSE(StepsOf(placement).ok());
  EXPECT_NE(StepsOf(placement).error().message.find("ends after 1 of them"), std::string::npos);
  placement.stages.clear();
  EXPECT_FALSE(StepsOf(placement).ok());
}

}  // namespace
}  // namespace lodestone
