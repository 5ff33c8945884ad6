#include <gtest/gtest.h>

#include <random>

#include "appliance/chain.h"
#include "appliance/fake_cards.h"

namespace lodestone {
namespace {

struct RandomChain {
  Placement placement;
  Links links;
  std::vector<int> cards;
};

RandomChain Draw(std::mt19937& random) {
  const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  std::vector<int> ranks(static_cast<size_t>(pick(1, 6)), 1);
  ranks.back() = pick(1, 3);
  RandomChain chain{.placement = testing::FakePlacement(ranks), .links = {}, .cards = {}};
  if (pick(0, 1)) {
    chain.links.bytes_per_s = 1e12 / pick(1, 4);
    chain.links.latency = {pick(0, 20)};
    chain.links.host_turnaround = {pick(0, 50)};
  }
  if (pick(0, 1)) {
    chain.links.cards_per_server = 2;
    chain.links.network_bytes_per_s = 1e11;
    chain.links.network_latency = {pick(0, 200)};
  }
  int card = 0;
  for (size_t i = 0; i < chain.placement.stages.size(); ++i) {
    if (i > 0 && (chain.placement.stages[i].stage.of > 1 || pick(0, 3) > 0)) ++card;
    chain.placement.stages[i].card = card;
    chain.cards.push_back(card);
  }
  return chain;
}

TEST(ChainProperty, PassesKeepTheirOrderCardsAreNeverBusierThanTimePassesAndBytesAreConserved) {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    const RandomChain drawn = Draw(random);
    const auto steps = *StepsOf(drawn.placement);
    Chain chain(steps, drawn.cards, drawn.links);
    std::vector<StageStats> stats(drawn.cards.size());
    Time now, last;
    int64_t host_in = 0, host_out = 0;
    for (int pass = 0; pass < 20; ++pass) {
      std::vector<StageCost> costs(drawn.cards.size());
      Time longest;
      for (StageCost& cost : costs) {
        cost = {.time = {std::uniform_int_distribution<int64_t>(0, 100)(random)}};
        cost.input_bytes = std::uniform_int_distribution<int64_t>(0, 100)(random);
        cost.output_bytes = std::uniform_int_distribution<int64_t>(0, 100)(random);
        longest = std::max(longest, cost.time);
      }
      for (int r = 0; r < steps.front().count; ++r) host_in += costs[static_cast<size_t>(r)].input_bytes;
      for (int r = 0; r < steps.back().count; ++r) {
        host_out += costs[static_cast<size_t>(steps.back().first + r)].output_bytes;
      }
      const Time finished = chain.Send(now, costs, stats);
      EXPECT_GE(finished, last) << "seed " << seed << ": a pass overtook another";
      EXPECT_GE(finished, now + longest + drawn.links.host_turnaround);
      last = finished;
      now += Time{std::uniform_int_distribution<int64_t>(0, 60)(random)};
    }
    std::vector<Time> busy(drawn.cards.size());
    int64_t in = 0, out = 0;
    for (size_t i = 0; i < stats.size(); ++i) {
      EXPECT_EQ(stats[i].passes, 20);
      busy[static_cast<size_t>(drawn.cards[i])] += stats[i].busy;
      in += stats[i].bytes_in;
      out += stats[i].bytes_out;
    }
    for (Time card : busy) EXPECT_LE(card, last) << "seed " << seed;
    EXPECT_EQ(in - host_in, out - host_out) << "seed " << seed << ": what cards receive, cards sent";
  }
}

}  // namespace
}  // namespace lodestone
