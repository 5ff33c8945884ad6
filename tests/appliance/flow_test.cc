// When passes leave, every sum spelled out, for the recurrence and for the event simulation. Links of 1e12 bytes/s
// carry a byte a picosecond.
#include "appliance/flow.h"

#include <gtest/gtest.h>

#include "appliance/flow_run.h"

namespace lodestone {
namespace {

using testing::Cost;
using testing::FakePlacement;
using testing::FastLinks;
using testing::FlowOptions;
using testing::FlowRun;
using testing::Gathering;
using testing::ItineraryOf;
using testing::Ps;

constexpr int64_t kUnlimited = FramebufferHalf::kUnlimited;

struct Way {
  const char* name;
  FlowMethod method;
  bool all_in_line;
};

// What both ways must answer alike: chains whose orders of service are all known.
class EitherFlow : public ::testing::TestWithParam<Way> {
 protected:
  FlowOptions Options(int64_t slots = kUnlimited, std::vector<int> sections = {}) const {
    return {.method = GetParam().method,
            .slots = slots,
            .sections = std::move(sections),
            .all_in_line = GetParam().all_in_line};
  }
};
INSTANTIATE_TEST_SUITE_P(Ways, EitherFlow,
                         ::testing::Values(Way{"Recurrence", FlowMethod::kRecurrence, false},
                                           Way{"Events", FlowMethod::kEvents, false},
                                           Way{"EventsInLine", FlowMethod::kEvents, true}),
                         [](const auto& way) { return way.param.name; });

TEST_P(EitherFlow, WithoutLinksTheSlowestCardSetsTheRate) {
  FlowRun f(FakePlacement({1, 1}), Links{}, Options());
  const std::vector<StageCost> costs{Cost(10, 0, 0), Cost(20, 0, 0)};
  for (int pass = 0; pass < 3; ++pass) f.Enter(0, costs);
  EXPECT_EQ(f.Leave(), 10 + 20);
  EXPECT_EQ(f.Leave(), 10 + 20 + 20);
  EXPECT_EQ(f.Leave(), 10 + 20 + 20 + 20);
  // After a pause the chain is empty: the transit time alone.
  EXPECT_EQ(f.Send(1000, costs), 1000 + 10 + 20);
}

TEST_P(EitherFlow, ThreePassesOverTwoCardsWithLinks) {
  FlowRun f(FakePlacement({1, 1}), FastLinks(), Options());
  const std::vector<StageCost> costs{Cost(100, 10, 30), Cost(50, 30, 20)};
  for (int pass = 0; pass < 3; ++pass) f.Enter(0, costs);
  // Host write 10, latency 5: at card 0 at 15. Card 0 until 115. Link 30 and latency 5: at card 1 at 150. Card 1 until
  // 200. Logits 20 and latency 5: at the host at 225. Turn-around 7.
  EXPECT_EQ(f.flow().NextFinish(), Ps(232));
  EXPECT_EQ(f.Leave(), 10 + 5 + 100 + 30 + 5 + 50 + 20 + 5 + 7);
  // Arrives at 25, waits for card 0 until 115; everything 100 later.
  EXPECT_EQ(f.Leave(), 232 + 100);
  EXPECT_EQ(f.Leave(), 232 + 200);
  EXPECT_EQ(f.stats(0).busy, Ps(300));
  EXPECT_EQ(f.stats(1).busy, Ps(150));
  EXPECT_EQ(f.stats(1).stalls, Ps(0));
}

TEST_P(EitherFlow, TheLinkCanBeTheSlowestPart) {
  FlowRun f(FakePlacement({1, 1}), FastLinks(), Options());
  const std::vector<StageCost> costs{Cost(10, 10, 100), Cost(50, 100, 20)};
  f.Enter(0, costs);
  f.Enter(0, costs);
  // Card 0: 15 to 25. Link 25 to 125, at card 1 at 130, until 180, logits gone at 200, there at 205.
  EXPECT_EQ(f.Leave(), 205 + 7);
  // At card 0 at 25, until 35. The link is busy until 125 and then until 225: all 100 later, although no card is short.
  EXPECT_EQ(f.Leave(), 305 + 7);
}

TEST_P(EitherFlow, RanksAreServedOneAfterAnotherAndTheSlowestDecides) {
  FlowRun f(FakePlacement({1, 2}), FastLinks(), Options());
  const std::vector<StageCost> costs{Cost(100, 10, 30), Cost(50, 30, 20), Cost(60, 30, 20)};
  // Card 0 until 115. To rank 0: 115 to 145, there at 150, computes until 200, logits there at 225.
  // To rank 1: 145 to 175, there at 180, computes until 240, logits gone at 260, there at 265.
  EXPECT_EQ(f.Send(0, costs), 265 + 7);
  EXPECT_EQ(f.stats(0).bytes_out, 60);
  EXPECT_EQ(f.stats(1).bytes_in, 30);
  EXPECT_EQ(f.stats(2).bytes_in, 30);
}

TEST_P(EitherFlow, StagesOfOneCardShareItsArrayAndHandOverAtNoCost) {
  Placement placement = FakePlacement({1, 1, 1});
  placement.stages[1].card = 0;
  placement.stages[2].card = 1;
  FlowRun f(placement, FastLinks(), Options());
  const std::vector<StageCost> costs{Cost(100, 10, 30), Cost(40, 30, 30), Cost(50, 30, 20)};
  f.Enter(0, costs);
  f.Enter(0, costs);
  // Card 0: 15 to 115 and on to 155. Link until 185, there at 190. Card 1 until 240, logits there at 265.
  EXPECT_EQ(f.Leave(), 265 + 7);
  // Card 0 is free at 155: 155 to 295. Then as before.
  EXPECT_EQ(f.Leave(), 272 + 140);
  EXPECT_EQ(f.stats(0).bytes_out, 0);
  EXPECT_EQ(f.stats(1).bytes_in, 0);
  EXPECT_EQ(f.stats(1).bytes_out, 60);
}

TEST_P(EitherFlow, NeighboursInOtherServersUseLinkAndNetwork) {
  Links links = FastLinks();
  links.cards_per_server = 2;
  links.network_bytes_per_s = 1e11;  // ten picoseconds a byte
  links.network_latency = Ps(1000);
  FlowRun f(FakePlacement({1, 1, 1}), links, Options());
  const std::vector<StageCost> costs{Cost(100, 10, 30), Cost(100, 30, 30), Cost(100, 30, 20)};
  // Card 0 from 15 to 115, card 1 from 150 to 250. To card 2, in the next server: 30 × 10 on the network, which the
  // link's 30 overlap, latencies 5 + 1000: there at 1555, until 1655. The logits go back to the host of the first card
  // over the network: 20 × 10 + 1005.
  EXPECT_EQ(f.Send(0, costs), 1655 + 1205 + 7);
}

TEST_P(EitherFlow, RanksGatherBetweenTheirSections) {
  const std::vector<StageCost> costs{Gathering({{100, 8}, {40, 0}}, 10, 0), Gathering({{60, 4}, {50, 0}}, 10, 0),
                                     Cost(30, 20, 6)};
  FlowRun f(FakePlacement({2, 1}), FastLinks(), Options(kUnlimited, {2, 2, 1}));
  f.Enter(0, costs);
  f.Enter(0, costs);
  // Both cards have their input at 15. First sections: card 0 until 115, card 1 until 75.
  // Card 0's part of 8 is at card 1 at 128: it waits for 53 and works until 178. Card 1's part came at 84: card 0 goes
  // on at 115, until 155. Over its link to card 2: 155 to 175, there at 180, until 210, logits at the host at 221.
  EXPECT_EQ(f.Leave(), 221 + 7);
  // Inputs follow the parts of the first pass: at card 0 from 79, at card 1 from 123. Card 0: 155 to 255; its part is
  // at card 1 at 268. Card 1: 178 to 238, waits for 30. Card 0 until 295, card 2 from 320 to 350, the host at 361.
  EXPECT_EQ(f.Leave(), 361 + 7);
  EXPECT_EQ(f.stats(0).gathers, Ps(0));
  EXPECT_EQ(f.stats(1).gathers, Ps(53 + 30));
  EXPECT_EQ(f.stats(0).busy, Ps(280));
  EXPECT_EQ(f.stats(0).bytes_in, 2 * (10 + 4));
  EXPECT_EQ(f.stats(0).bytes_out, 2 * (8 + 20));
  EXPECT_EQ(f.stats(1).bytes_out, 2 * 4);
}

TEST_P(EitherFlow, OneSlotHoldsBackWhoeverIsFaster) {
  FlowRun f(FakePlacement({1, 1}), FastLinks(), Options(1));
  const std::vector<StageCost> costs{Cost(10, 10, 0), Cost(100, 20, 5)};
  for (int pass = 0; pass < 3; ++pass) f.Enter(0, costs);
  // Card 0 from 15 to 25, out until 45, card 1 from 50 to 150, out until 155, at the host at 160.
  EXPECT_EQ(f.Leave(), 167);
  // The host writes when card 0 has begun: 15 to 25, there at 30. Card 0 stalls until its result of before has left at
  // 45, works until 55, out until 75. Card 1 could begin at 150 and stalls until 155, until 255; 260, 265.
  EXPECT_EQ(f.Leave(), 272);
  // Written from 45, there at 60; card 0 stalls until 75, works until 85. Card 1 takes in from 155, when it began with
  // the second, until 175. From 255, stalled until 260, until 360; 365, 370.
  EXPECT_EQ(f.Leave(), 377);
  EXPECT_EQ(f.stats(0).stalls, Ps(15 + 15));
  EXPECT_EQ(f.stats(1).stalls, Ps(5 + 5));
  const auto buffers = f.flow().framebuffers();
  // Card 0: 10 bytes in [0, 15), [15, 45), [45, 75); 20 bytes in [25, 45), [55, 75), [85, 175).
  EXPECT_EQ(buffers[0].peak_bytes, 10 + 20);
  EXPECT_DOUBLE_EQ(buffers[0].byte_seconds, (10 * 75 + 20 * 130) * 1e-12);
  // Card 1: 20 bytes in [25, 50), [55, 155), [155, 260); 5 bytes three times for 5.
  EXPECT_EQ(buffers[1].peak_bytes, 20 + 5);
  EXPECT_DOUBLE_EQ(buffers[1].byte_seconds, (20 * 230 + 5 * 15) * 1e-12);
}

TEST_P(EitherFlow, WithoutALimitWhatWaitsPilesUp) {
  FlowRun f(FakePlacement({1, 1}), FastLinks(), Options());
  const std::vector<StageCost> costs{Cost(10, 10, 0), Cost(100, 20, 5)};
  for (int pass = 0; pass < 3; ++pass) f.Enter(0, costs);
  for (int pass = 0; pass < 3; ++pass) f.Leave();
  EXPECT_EQ(f.stats(0).stalls, Ps(0));
  // Card 1 begins at 50, 150 and 250. The second comes from 45, the third from 65: two wait together.
  EXPECT_EQ(f.flow().framebuffers()[1].peak_bytes, 2 * 20 + 5);
}

TEST_P(EitherFlow, ASlowUplinkDelaysWhatCrossesIt) {
  Links links = FastLinks();
  links.cards_per_switch = 2;
  links.uplink_bytes_per_s = 2.5e11;  // four picoseconds a byte
  FlowRun f(FakePlacement({1, 1, 1, 1}), links, Options());
  const std::vector<StageCost> costs{Cost(100, 10, 0), Cost(100, 30, 0), Cost(100, 30, 0), Cost(100, 30, 20)};
  // From the host 10 × 4: at card 0 at 45, until 145. Behind the same switch: 30, at card 1 at 180, until 280. To the
  // next switch 30 × 4: at card 2 at 405, until 505; at card 3 at 540, until 640; to the host 20 × 4.
  EXPECT_EQ(f.Send(0, costs), 640 + 80 + 5 + 7);
}

TEST_P(EitherFlow, ThroughHostMemoryAHopIsTwoTransfersAndSoftware) {
  Links links = FastLinks();
  links.transfers = Transfers::kHost;
  links.host_transfer = Ps(1000);
  FlowRun f(FakePlacement({1, 1}), links, Options());
  const std::vector<StageCost> costs{Cost(100, 10, 30), Cost(50, 30, 20)};
  // Card 0 until 115, in memory at 150, turned around at 1150, at card 1 at 1185, until 1235.
  EXPECT_EQ(f.Send(0, costs), 1235 + 25 + 7);
  EXPECT_EQ(f.stats(0).bytes_out, 30);
  EXPECT_EQ(f.stats(1).bytes_in, 30);
}

TEST(Flow, TheHostTurnsOneTransferAroundAtATime) {
  Links links;
  links.transfers = Transfers::kHost;
  links.host_transfer = Ps(100);
  const Placement placement = FakePlacement({1, 1, 1});
  const std::vector<StageCost> costs{Cost(10, 0, 0), Cost(10, 0, 0), Cost(10, 0, 0)};
  EXPECT_FALSE(ItineraryOf(placement, links).ordered());
  const auto refused = MakeFlow(ItineraryOf(placement, links), {1, 1, 1}, FlowMethod::kRecurrence);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);

  FlowRun f(placement, links);
  f.Enter(0, costs);
  // Alone: card 0 until 10, host until 110, card 1 until 120, host until 220, card 2.
  EXPECT_EQ(f.flow().NextFinish(), Ps(230));
  f.Enter(5, costs);
  // The second pass asks the host at 20 and has it from 110 to 210; the first asks for its next hop at 120 and waits.
  EXPECT_EQ(f.flow().NextFinish(), Ps(320));
  EXPECT_EQ(f.Leave(), 320);
  EXPECT_EQ(f.Leave(), 420);
}

TEST(Flow, OnASharedUplinkTheFirstToAskIsServedFirst) {
  Links links = FastLinks();
  links.cards_per_switch = 4;
  links.uplink_bytes_per_s = 1e12;  // as fast as one link; two may want it
  const std::vector<StageCost> costs{Cost(100, 10, 30), Cost(50, 30, 20), Cost(10, 30, 20)};
  FlowRun f(FakePlacement({1, 2}), links);
  // Rank 0 computes from 150 to 200, rank 1 from 180 to 190. Rank 1 has the uplink from 190 to 210, rank 0 until 230.
  EXPECT_EQ(f.Send(0, costs), 235 + 7);
}

TEST(Flow, AWireThatItsUsersCannotFillNeedsNoQueue) {
  Links links = FastLinks();
  links.cards_per_switch = 4;
  links.uplink_bytes_per_s = 2e12;
  const Placement placement = FakePlacement({1, 2});
  EXPECT_TRUE(ItineraryOf(placement, links).ordered());
  links.uplink_bytes_per_s = 1.9e12;
  EXPECT_FALSE(ItineraryOf(placement, links).ordered());
  // Ranks of one step on two servers: both send over one network.
  links = FastLinks();
  links.cards_per_server = 2;
  links.network_bytes_per_s = 1e12;
  EXPECT_FALSE(ItineraryOf(FakePlacement({4}), links, {.sections = {2, 2, 2, 2}}).ordered());
  links.network_bytes_per_s = 2e12;
  EXPECT_TRUE(ItineraryOf(FakePlacement({4}), links, {.sections = {2, 2, 2, 2}}).ordered());
}

TEST(Flow, RanksOnOneCardOrWithDifferentSectionsAreRefused) {
  const std::vector<ChainStep> steps{{.first = 0, .count = 2}};
  const auto same = MakeItinerary(steps, {{.card = 3, .kind = 0}, {.card = 3, .kind = 0}}, Links{});
  ASSERT_FALSE(same.ok());
  EXPECT_NE(same.error().message.find("both are on card 3"), std::string::npos);
  const auto differ =
      MakeItinerary(steps, {{.card = 0, .kind = 0, .sections = 2}, {.card = 1, .kind = 1, .sections = 3}}, Links{});
  ASSERT_FALSE(differ.ok());
  EXPECT_NE(differ.error().message.find("2 and 3 sections"), std::string::npos);
}

TEST(Flow, EnergyOfALinkIsCountedWhereBytesComeInAndWhereTheyGoOut) {
  Links links = FastLinks();
  links.link_energy_per_byte = {3};
  FlowRun f(FakePlacement({1, 1}), links);
  StageCost first = Cost(100, 10, 30), second = Cost(50, 30, 20);
  first.energy.matrix = {7};
  second.energy.network = {11};
  f.Send(0, {first, second});
  f.Send(1000, {first, second});
  EXPECT_EQ(f.stats(0).link_energy, Energy{2 * 3 * (10 + 30)});
  EXPECT_EQ(f.stats(1).link_energy, Energy{2 * 3 * (30 + 20)});
  EXPECT_EQ(f.stats(0).energy.total(), Energy{14});
  EXPECT_EQ(f.stats(1).energy.network, Energy{22});
}

TEST(Steps, NeedAllRanksInOrder) {
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
