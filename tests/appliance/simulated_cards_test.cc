// Simulated cards as a user of the runtime meets them: kinds, framebuffers, gathers, times foretold, observers.
#include <gtest/gtest.h>

#include "appliance/appliance.h"
#include "appliance/fake_cards.h"

namespace lodestone {
namespace {

using testing::FakeCards;
using testing::FakeLog;
using testing::FakePlacement;
using testing::OpenFake;
using testing::Ps;

Pass LoadPass(uint64_t id, int rows) {
  Pass pass;
  pass.id = id;
  pass.load.rows = rows;
  return pass;
}

// Ten picoseconds and four bytes a row.
StageCost PerRow(const Stage&, const Load& load) {
  StageCost cost;
  cost.time = {10 * load.rows};
  cost.input_bytes = cost.output_bytes = 4 * load.rows;
  cost.energy.vector = {3};
  return cost;
}

Links Framebuffer(int64_t bytes) {
  Links links;
  links.bytes_per_s = 1e12;
  links.framebuffer_bytes = bytes;
  return links;
}

Status Configured(const Placement& placement, const Links& links, std::unique_ptr<Appliance>* kept = nullptr) {
  static VirtualTimeline clock;
  auto appliance = *Appliance::Open(placement, FakeCards(testing::UsedCards(placement), nullptr, PerRow), links, clock);
  const Status status = appliance->Configure(nullptr, 0);
  if (kept) *kept = std::move(appliance);
  return status;
}

TEST(SimulatedCards, StagesOfOneKindAreEvaluatedOnceAPass) {
  Placement placement = FakePlacement({1, 1, 1, 1, 1});
  for (size_t i = 0; i < 4; ++i) placement.stages[i].kind = static_cast<int>(i % 2) + 7;
  int evaluated = 0;
  const auto cost = [&](const Stage& stage, const Load& load) {
    ++evaluated;
    return PerRow(stage, load);
  };
  VirtualTimeline clock;
  auto appliance = OpenFake(placement, nullptr, cost, clock);
  evaluated = 0;
  ASSERT_TRUE(appliance->Submit(LoadPass(0, 1)).ok());
  EXPECT_EQ(evaluated, 3);
  EXPECT_EQ((*appliance->Next())->finished, Ps(50));
  EXPECT_EQ(appliance->CostsOf({.rows = 2}).size(), 5u);
  EXPECT_EQ(appliance->ExplainCosts({.rows = 2}).size(), 5u);
  EXPECT_EQ(appliance->mappings().size(), 5u);
  for (const StageStats& stage : appliance->stats()) {
    EXPECT_EQ(stage.busy, Ps(10));
    EXPECT_EQ(stage.energy.total(), Energy{3});
  }
  EXPECT_EQ(appliance->stats()[3].label, "stage 3");
}

// Passes of one load in a row are evaluated once; one field that differs is another load, and so is one that somebody
// has asked about in between.
TEST(SimulatedCards, OneLoadAfterAnotherIsEvaluatedOnce) {
  int evaluated = 0;
  const auto cost = [&](const Stage&, const Load& load) {
    ++evaluated;
    const int64_t sum = load.rows + load.logit_rows + load.sequences + load.context_sum + load.context_max;
    return StageCost{.time = Ps(sum + load.kv_tokens_read)};
  };
  VirtualTimeline clock;
  auto appliance = OpenFake(FakePlacement({1}), nullptr, cost, clock);
  evaluated = 0;
  Time before;
  const auto expect = [&](const Load& load, int64_t ps, int evaluations) {
    Pass pass;
    pass.load = load;
    ASSERT_TRUE(appliance->Submit(pass).ok());
    EXPECT_EQ((*appliance->Next())->finished - before, Ps(ps));
    before = clock.Now();
    EXPECT_EQ(std::exchange(evaluated, 0), evaluations);
  };
  expect({.rows = 1}, 1, 1);
  expect({.rows = 1}, 1, 0);
  expect({.rows = 2}, 2, 1);
  expect({.rows = 2, .logit_rows = 1}, 3, 1);
  expect({.rows = 2, .sequences = 2}, 4, 1);
  expect({.rows = 2, .context_sum = 3}, 5, 1);
  expect({.rows = 2, .context_max = 4}, 6, 1);
  expect({.rows = 2, .kv_tokens_read = 5}, 7, 1);
  EXPECT_EQ(appliance->CostsOf({.rows = 9})[0].time, Ps(9));
  expect({.rows = 2, .kv_tokens_read = 5}, 7, 2);
  expect({.rows = 2, .kv_tokens_read = 5}, 7, 0);
}

TEST(SimulatedCards, TheNextFinishIsForetoldAndAnEntryBeforeItIsRight) {
  VirtualTimeline clock;
  auto appliance = OpenFake(FakePlacement({1, 1}), nullptr, PerRow, clock);
  EXPECT_FALSE(appliance->NextFinish().has_value());
  ASSERT_TRUE(appliance->Submit(LoadPass(0, 2)).ok());
  EXPECT_EQ(appliance->NextFinish(), Ps(40));
  clock.AdvanceTo(Ps(15));
  ASSERT_TRUE(appliance->Submit(LoadPass(1, 1)).ok());
  EXPECT_EQ(appliance->NextFinish(), Ps(40));
  EXPECT_EQ((*appliance->Next())->finished, Ps(40));
  // Card 0 from 20 to 30, card 1 from 40.
  EXPECT_EQ(appliance->NextFinish(), Ps(50));
  EXPECT_EQ((*appliance->Next())->submitted, Ps(15));
  EXPECT_FALSE(appliance->NextFinish().has_value());

  auto measured = OpenFake(FakePlacement({1}), std::make_shared<FakeLog>(), nullptr, clock);
  EXPECT_FALSE(measured->NextFinish().has_value());
}

TEST(SimulatedCards, FramebuffersAreCutIntoSlotsOfTheLargestPass) {
  Placement placement = FakePlacement({1, 1});
  placement.demand.rows_per_pass = 5;
  placement.demand.decode_rows = 2;
  std::unique_ptr<Appliance> appliance;
  ASSERT_TRUE(Configured(placement, Framebuffer(2 * 65), &appliance).ok());
  const auto buffers = appliance->framebuffers();
  ASSERT_EQ(buffers.size(), 2u);
  EXPECT_EQ(buffers[0].capacity, 130);
  EXPECT_EQ(buffers[0].slot_bytes, 20);
  EXPECT_EQ(buffers[0].slots_in, 3);
  EXPECT_EQ(buffers[0].slots_out, 3);
  EXPECT_EQ(buffers[0].peak_bytes, 0);
  // No larger pass is let in.
  EXPECT_TRUE(appliance->Submit(LoadPass(0, 5)).ok());
  const Status larger = appliance->Submit(LoadPass(1, 6));
  ASSERT_FALSE(larger.ok());
  EXPECT_EQ(larger.error().code, ErrorCode::kInvalid);
  EXPECT_NE(larger.error().message.find("passes of at most 5 rows, 2 of them with logits"), std::string::npos);
  ASSERT_TRUE((*appliance->Next()).has_value());
  EXPECT_FALSE((*appliance->Next()).has_value());
  EXPECT_EQ(appliance->framebuffers()[0].peak_bytes, 40);

  ASSERT_TRUE(Configured(placement, Framebuffer(0), &appliance).ok());
  EXPECT_EQ(appliance->framebuffers()[0].slots_in, 0);
  EXPECT_TRUE(appliance->Submit(LoadPass(1, 6)).ok());
}

TEST(SimulatedCards, AFramebufferWithoutASlotIsInfeasible) {
  Placement placement = FakePlacement({1, 1});
  placement.demand.rows_per_pass = 5;
  ASSERT_TRUE(Configured(placement, Framebuffer(40)).ok());
  const Status status = Configured(placement, Framebuffer(39));
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kInfeasible);
  EXPECT_NE(status.error().message.find("5 rows"), std::string::npos);
  EXPECT_NE(status.error().message.find("takes 20 B, and half of the framebuffer is 19 B"), std::string::npos);
}

TEST(SimulatedCards, LayersSplitOverCardsAreSimulated) {
  VirtualTimeline clock;
  const auto split = [](const Stage& stage, const Load&) {
    StageCost cost;
    cost.time = {30};
    if (stage.of == 1) return cost;
    cost.sections.resize(2);
    cost.sections[0].time = {stage.rank == 0 ? 10 : 25};
    cost.sections[1].time = {stage.rank == 0 ? 20 : 5};
    return cost;
  };
  auto appliance = OpenFake(FakePlacement({2, 1}), nullptr, split, clock);
  ASSERT_TRUE(appliance->Submit(LoadPass(0, 1)).ok());
  // Rank 0 waits from 10 to 25, and works until 45; rank 1 until 30. Rank 0 serves the next stage.
  EXPECT_EQ((*appliance->Next())->finished, Ps(45 + 30));
  EXPECT_EQ(appliance->stats()[0].gathers, Ps(15));
  EXPECT_EQ(appliance->stats()[1].gathers, Ps(0));
}

TEST(SimulatedCards, ATimingThatChangesItsMindOrTakesForeverIsRefused) {
  VirtualTimeline clock;
  int sections = 2;
  int64_t time = 5;
  const auto changing = [&](const Stage&, const Load&) {
    StageCost cost;
    cost.time = {time};
    cost.sections.resize(static_cast<size_t>(sections));
    return cost;
  };
  auto appliance = OpenFake(FakePlacement({2}), nullptr, changing, clock);
  ASSERT_TRUE(appliance->Submit(LoadPass(0, 1)).ok());
  sections = 3;
  const Status changed = appliance->Submit(LoadPass(1, 2));
  ASSERT_FALSE(changed.ok());
  EXPECT_NE(changed.error().message.find("3 sections where it gave 2"), std::string::npos);
  sections = 2;
  time = 4'000'000'000'000'000'000;
  const Status forever = appliance->Submit(LoadPass(2, 3));
  ASSERT_FALSE(forever.ok());
  EXPECT_NE(forever.error().message.find("pass 2 would keep a card busy"), std::string::npos);
  time = 5;
  clock.AdvanceTo(Time::Seconds(60 * 86400.0));
  EXPECT_NE(appliance->Submit(LoadPass(3, 1)).error().message.find("simulated days"), std::string::npos);
  EXPECT_EQ((*appliance->Next())->id, 0u);
}

// Everything that the passes inside a chain do, one after another, must stay in the range of Time.
TEST(SimulatedCards, LinksThatTakeForeverAreInfeasible) {
  Placement placement = FakePlacement(std::vector<int>(100, 1));
  placement.demand.rows_per_pass = 1 << 20;
  Links links;
  links.bytes_per_s = 1e9;
  ASSERT_TRUE(Configured(placement, links).ok());
  links.bytes_per_s = 1e3;  // 4 MiB a hop: 4,194 s, a hundred times
  const Status status = Configured(placement, links);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kInfeasible);
  EXPECT_NE(status.error().message.find("make links faster or passes smaller"), std::string::npos);
}

TEST(SimulatedCards, SimulatedTimePassesForAPassThatFails) {
  VirtualTimeline clock;
  auto log = std::make_shared<FakeLog>();
  log->fail_pass = 0;
  auto appliance = OpenFake(FakePlacement({1, 1}), log, PerRow, clock);
  const std::vector<Row> rows{{.sequence = 0, .position = 0, .token = 3, .wants_logits = true}};
  const std::vector<int32_t> table{0};
  const Pass pass{.id = 0, .load = LoadOf(rows), .rows = rows, .page_table = table, .pages_per_sequence = 1};
  ASSERT_TRUE(appliance->Submit(pass).ok());
  EXPECT_FALSE(appliance->Next().ok());
  EXPECT_EQ(clock.Now(), Ps(20));
  EXPECT_FALSE((*appliance->Next()).has_value());
}

// Writes down what it hears.
class Listener final : public FlowObserver {
 public:
  void Computes(int stage, uint64_t pass, const Load& load, int section, Time start, Time finish) override {
    heard.push_back(fmt::format("stage {} pass {} rows {} section {}: {} to {}", stage, pass, load.rows, section,
                                start.ps, finish.ps));
  }
  void Moves(int from, int to, uint64_t pass, int64_t bytes, Time start, Time finish) override {
    heard.push_back(fmt::format("{} to {} pass {} {} B: {} to {}", from, to, pass, bytes, start.ps, finish.ps));
  }
  void Stalls(int stage, uint64_t pass, Time start, Time finish) override {
    heard.push_back(fmt::format("stage {} pass {} stalls: {} to {}", stage, pass, start.ps, finish.ps));
  }
  void HostWorks(uint64_t pass, Time start, Time finish) override {
    heard.push_back(fmt::format("host pass {}: {} to {}", pass, start.ps, finish.ps));
  }
  void Holds(int card, Time at, int64_t bytes) override {
    held.push_back(fmt::format("card {} at {}: {} B", card, at.ps, bytes));
  }
  std::vector<std::string> heard, held;
};

TEST(SimulatedCards, AnObserverHearsEverything) {
  VirtualTimeline clock;
  Links links = Framebuffer(2 * 4);
  links.host_turnaround = Ps(7);
  Listener listener;
  auto appliance = *Appliance::Open(FakePlacement({1}), FakeCards(1, nullptr, PerRow), links, clock);
  appliance->Observe(&listener);  // before it is configured, as well as after
  ASSERT_TRUE(appliance->Configure(nullptr, 0).ok());
  ASSERT_TRUE(appliance->Submit(LoadPass(4, 1)).ok());
  ASSERT_TRUE(appliance->Submit(LoadPass(5, 1)).ok());
  ASSERT_TRUE(appliance->Next().ok());
  ASSERT_TRUE(appliance->Next().ok());
  // One slot a half: pass 5 comes in when pass 4 has begun, and stalls until its result has left.
  EXPECT_EQ(listener.heard, (std::vector<std::string>{
                                "-1 to 0 pass 4 4 B: 0 to 4",
                                "stage 0 pass 4 rows 1 section 0: 4 to 14",
                                "0 to -1 pass 4 4 B: 14 to 18",
                                "host pass 4: 18 to 25",
                                "-1 to 0 pass 5 4 B: 4 to 8",
                                "stage 0 pass 5 stalls: 14 to 18",
                                "stage 0 pass 5 rows 1 section 0: 18 to 28",
                                "0 to -1 pass 5 4 B: 28 to 32",
                                "host pass 5: 32 to 39",
                            }));
  // 4 bytes in [0, 4) and [4, 18), out [14, 18) and [28, 32); what another pass could still change is not told.
  EXPECT_EQ(listener.held, (std::vector<std::string>{"card 0 at 0: 4 B"}));
  ASSERT_TRUE(appliance->Submit(LoadPass(6, 1)).ok());
  EXPECT_EQ(listener.held, (std::vector<std::string>{"card 0 at 0: 4 B", "card 0 at 14: 8 B", "card 0 at 18: 0 B",
                                                     "card 0 at 28: 4 B", "card 0 at 32: 0 B"}));
  const size_t heard = listener.heard.size();
  appliance->Observe(nullptr);
  ASSERT_TRUE(appliance->Submit(LoadPass(7, 1)).ok());
  EXPECT_EQ(listener.heard.size(), heard);
}

}  // namespace
}  // namespace lodestone
