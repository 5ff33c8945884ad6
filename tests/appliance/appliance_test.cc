#include "appliance/appliance.h"

#include <gtest/gtest.h>

#include "appliance/fake_cards.h"

namespace lodestone {
namespace {

using testing::FakeCards;
using testing::FakeLog;
using testing::FakePlacement;
using testing::OpenFake;
using testing::Ps;

StageCost TenEach(const Stage&, const Load& load) { return {.time = Ps(10 * load.rows)}; }

// One row a sequence at `position`, each wanting logits; a page a sequence.
struct Rows {
  explicit Rows(int count, int32_t position = 0, int32_t token = 3) {
    for (int i = 0; i < count; ++i) {
      rows.push_back({static_cast<uint32_t>(i), position, token + i, true});
      table.push_back(i);
    }
  }
  Pass pass(uint64_t id) const {
    return {.id = id, .load = LoadOf(rows), .rows = rows, .page_table = table, .pages_per_sequence = 1};
  }
  std::vector<Row> rows;
  std::vector<int32_t> table;
};

Pass LoadPass(uint64_t id, int rows) {
  Pass pass;
  pass.id = id;
  pass.load.rows = rows;
  return pass;
}

std::string MessageOf(const Status& status) { return status.ok() ? "" : status.error().message; }

TEST(Appliance, SimulatedPassesComeBackInOrderAndMoveTheClock) {
  VirtualTimeline clock;
  auto appliance = OpenFake(FakePlacement({1, 1}), nullptr, TenEach, clock);
  EXPECT_TRUE(appliance->simulated());
  EXPECT_FALSE(appliance->computes());
  ASSERT_TRUE(appliance->Submit(LoadPass(7, 1)).ok());
  ASSERT_TRUE(appliance->Submit(LoadPass(8, 3)).ok());
  const auto first = *appliance->Next();
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->id, 7u);
  EXPECT_EQ(first->finished, Ps(20));
  EXPECT_EQ(clock.Now(), Ps(20));
  EXPECT_TRUE(first->logits.data.empty());
  const auto second = *appliance->Next();
  // Card 0 from 10 to 40, card 1 from 40 to 70.
  EXPECT_EQ(second->finished, Ps(70));
  EXPECT_EQ(second->submitted, Ps(0));
  EXPECT_FALSE((*appliance->Next()).has_value());
  EXPECT_EQ(appliance->CostsOf({.rows = 2}).size(), 2u);
  EXPECT_EQ(appliance->CostsOf({.rows = 2})[1].time, Ps(20));
  EXPECT_EQ(appliance->ExplainCosts({.rows = 2})[0][0].time, Ps(20));
}

TEST(Appliance, CreditIsTwoPassesAStep) {
  VirtualTimeline clock;
  auto appliance = OpenFake(FakePlacement({1, 1, 2}), nullptr, TenEach, clock);
  EXPECT_EQ(appliance->max_in_flight(), 6);
  for (uint64_t id = 0; id < 6; ++id) ASSERT_TRUE(appliance->Submit(LoadPass(id, 1)).ok());
  const Status full = appliance->Submit(LoadPass(6, 1));
  ASSERT_FALSE(full.ok());
  EXPECT_EQ(full.error().code, ErrorCode::kBusy);
  ASSERT_TRUE(appliance->Next().ok());
  EXPECT_TRUE(appliance->Submit(LoadPass(6, 1)).ok());
}

TEST(Appliance, MeasuredAndSimulatedCardsComputeTheSameLogits) {
  const Rows rows(3);
  std::vector<Tensor> logits;
  for (const auto& cost : {testing::CostFunction(), testing::CostFunction(TenEach)}) {
    VirtualTimeline clock;
    auto log = std::make_shared<FakeLog>();
    auto appliance = OpenFake(FakePlacement({1, 1, 2}), log, cost, clock);
    ASSERT_TRUE(appliance->Submit(rows.pass(0)).ok());
    auto done = appliance->Next();
    ASSERT_TRUE(done.ok());
    logits.push_back((*done)->logits);
  }
  EXPECT_EQ(logits[0].rows, 3);
  EXPECT_EQ(logits[0].width, testing::kFakeVocab);
  EXPECT_EQ(logits[0].data, logits[1].data);
}

TEST(Appliance, SplittingTheOutputLayerChangesNoLogit) {
  const Rows rows(2);
  std::vector<Tensor> logits;
  for (int of : {1, 2, 3}) {
    VirtualTimeline clock;
    auto appliance = OpenFake(FakePlacement({1, of}), std::make_shared<FakeLog>(), nullptr, clock);
    ASSERT_TRUE(appliance->Submit(rows.pass(0)).ok());
    auto done = appliance->Next();
    ASSERT_TRUE(done.ok());
    logits.push_back((*done)->logits);
    EXPECT_EQ(logits.back().data, logits.front().data) << of << " ranks";
  }
}

TEST(Appliance, RowsAreReadBeforeSubmitReturns) {
  VirtualTimeline clock;
  auto kept = OpenFake(FakePlacement({1, 1}), std::make_shared<FakeLog>(), nullptr, clock);
  auto changed = OpenFake(FakePlacement({1, 1}), std::make_shared<FakeLog>(), nullptr, clock);
  Rows rows(2);
  ASSERT_TRUE(kept->Submit(rows.pass(0)).ok());
  ASSERT_TRUE(changed->Submit(rows.pass(0)).ok());
  rows.rows[0].token = 40;
  rows.table[1] = 999;
  EXPECT_EQ((*kept->Next())->logits.data, (*changed->Next())->logits.data);
}

// A clock that a card's work moves.
class WorkClock final : public Timeline {
 public:
  Time Now() const override { return now; }
  void AdvanceTo(Time) override {}
  Time now;
};

TEST(Appliance, MeasuredCardsAreTimedByTheClock) {
  WorkClock clock;
  auto log = std::make_shared<FakeLog>();
  log->on_run = [&] { clock.now += Ps(100); };
  auto appliance = OpenFake(FakePlacement({1, 1}), log, nullptr, clock);
  const Rows rows(1);
  ASSERT_TRUE(appliance->Submit(rows.pass(0)).ok());
  ASSERT_TRUE(appliance->Submit(rows.pass(1)).ok());
  EXPECT_EQ((*appliance->Next())->finished, Ps(200));
  EXPECT_EQ((*appliance->Next())->finished, Ps(400));
  const auto stats = appliance->stats();
  ASSERT_EQ(stats.size(), 2u);
  EXPECT_EQ(stats[0].label, "stage 0");
  EXPECT_EQ(stats[0].busy, Ps(200));
  EXPECT_EQ(stats[1].passes, 2);
  EXPECT_TRUE(appliance->CostsOf({.rows = 1}).empty());
}

TEST(Appliance, AnErrorOfACardEndsThatPassAlone) {
  VirtualTimeline clock;
  auto log = std::make_shared<FakeLog>();
  log->fail_pass = 1;
  auto appliance = OpenFake(FakePlacement({1, 1}), log, nullptr, clock);
  const Rows rows(1);
  for (uint64_t id = 0; id < 3; ++id) ASSERT_TRUE(appliance->Submit(rows.pass(id)).ok());
  EXPECT_EQ((*appliance->Next())->id, 0u);
  const auto failed = appliance->Next();
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code, ErrorCode::kIo);
  EXPECT_EQ(failed.error().message, "stage 'stage 0': the card is gone");
  EXPECT_EQ((*appliance->Next())->id, 2u);
  EXPECT_FALSE((*appliance->Next()).has_value());
}

TEST(Appliance, OpenRefusesCardsThatDoNotMakeAnAppliance) {
  VirtualTimeline clock;
  const Placement placement = FakePlacement({1, 1});
  const auto message = [&](std::vector<Card> cards, const Placement& p) {
    auto result = Appliance::Open(p, std::move(cards), {}, clock);
    return result.ok() ? std::string() : result.error().message;
  };
  EXPECT_EQ(message(FakeCards(3, nullptr, TenEach), placement), "the placement uses 2 cards, 3 were given");
  EXPECT_NE(message(FakeCards(2, nullptr, nullptr), placement).find("neither computes"), std::string::npos);
  auto mixed = FakeCards(2, std::make_shared<FakeLog>(), TenEach);
  mixed[1].timing = nullptr;
  EXPECT_NE(message(std::move(mixed), placement).find("card 1 is unlike card 0"), std::string::npos);
}

TEST(Appliance, ConfigureComesOnceAndWithWeightsWhereCardsCompute) {
  VirtualTimeline clock;
  auto appliance = *Appliance::Open(FakePlacement({1}), FakeCards(1, std::make_shared<FakeLog>(), nullptr), {}, clock);
  EXPECT_NE(MessageOf(appliance->Submit(Rows(1).pass(0))).find("before the appliance was configured"),
            std::string::npos);
  EXPECT_NE(MessageOf(appliance->Configure(nullptr, 1)).find("need weights"), std::string::npos);
  testing::NoWeights weights;
  EXPECT_FALSE(appliance->Configure(&weights, -1).ok());
  EXPECT_TRUE(appliance->Configure(&weights, 1).ok());
  EXPECT_NE(MessageOf(appliance->Configure(&weights, 1)).find("already configured"), std::string::npos);

  auto timed = *Appliance::Open(FakePlacement({1}), FakeCards(1, nullptr, TenEach), {}, clock);
  EXPECT_TRUE(timed->Configure(nullptr, 0).ok());
}

TEST(Appliance, ConfigureIsRefusedOnceACardHasFailed) {
  VirtualTimeline clock;
  auto log = std::make_shared<FakeLog>();
  log->fail_configure = 1;
  auto appliance = *Appliance::Open(FakePlacement({1, 1}), FakeCards(2, log, TenEach), {}, clock);
  testing::NoWeights weights;
  EXPECT_EQ(MessageOf(appliance->Configure(&weights, 1)), "the card is full");
  log->fail_configure.reset();
  EXPECT_NE(MessageOf(appliance->Configure(&weights, 1)).find("open another one"), std::string::npos);
  EXPECT_NE(MessageOf(appliance->Submit(Rows(1).pass(0))).find("before the appliance was configured"),
            std::string::npos);
  EXPECT_FALSE((*appliance->Next()).has_value());
  EXPECT_TRUE(appliance->framebuffers().empty());
}

TEST(Appliance, SubmitRefusesRowsWhereNoneComputesAndTheReverse) {
  VirtualTimeline clock;
  auto timed = OpenFake(FakePlacement({1}), nullptr, TenEach, clock);
  const Rows rows(2);
  EXPECT_NE(MessageOf(timed->Submit(rows.pass(4))).find("pass 4 has rows"), std::string::npos);
  EXPECT_NE(MessageOf(timed->Submit(LoadPass(4, 0))).find("load of 0 rows"), std::string::npos);
  Pass negative = LoadPass(4, 1);
  negative.load.kv_tokens_read = -1;
  EXPECT_NE(MessageOf(timed->Submit(negative)).find("a negative figure"), std::string::npos);

  auto computing = OpenFake(FakePlacement({1}), std::make_shared<FakeLog>(), nullptr, clock);
  Pass pass = rows.pass(5);
  pass.rows = {};
  EXPECT_NE(MessageOf(computing->Submit(pass)).find("pass 5 has no rows"), std::string::npos);
  pass = rows.pass(5);
  pass.load.rows = 3;
  EXPECT_NE(MessageOf(computing->Submit(pass)).find("has 2 rows, its load says 3"), std::string::npos);
  EXPECT_FALSE((*computing->Next()).has_value());
}

TEST(Appliance, SubmitRefusesWhatACardWouldHaveToRefuse) {
  VirtualTimeline clock;
  const auto refused = [&](const char* part, auto change) {
    Placement placement = FakePlacement({1, 1});
    Embed embed;
    embed.vocab = testing::kFakeVocab;
    embed.max_positions = 100;
    placement.stages[0].stage.program.segments.push_back({.ops = {embed}, .fusion = {0}});
    auto appliance = OpenFake(placement, std::make_shared<FakeLog>(), nullptr, clock, 4);
    Rows rows(2, 70);
    rows.table = {0, 1, 2, 3};
    Pass pass = rows.pass(5);
    pass.pages_per_sequence = 2;
    EXPECT_TRUE(appliance->Submit(pass).ok());
    EXPECT_TRUE(appliance->Next().ok());
    change(pass, rows);
    const Status status = appliance->Submit(pass);
    EXPECT_NE(MessageOf(status).find(part), std::string::npos) << part << ": " << MessageOf(status);
    EXPECT_FALSE((*appliance->Next()).has_value());
  };
  refused("page table of 3 entries, expected 2 for each of the 2 sequences",
          [](Pass& pass, Rows&) { pass.page_table = pass.page_table.first(3); });
  refused("page table", [](Pass& pass, Rows&) { pass.pages_per_sequence = -2; });
  refused("page table", [](Pass& pass, Rows&) { pass.load.sequences = -2; });
  refused("sequence 1: page -1 of the 4", [](Pass&, Rows& rows) { rows.table[2] = -1; });
  refused("sequence 1: page 4 of the 4", [](Pass&, Rows& rows) { rows.table[3] = 4; });
  refused("row 1: sequence 2 of a page table of 2", [](Pass&, Rows& rows) { rows.rows[1].sequence = 2; });
  refused("row 0: position -7, expected 0 to 99", [](Pass&, Rows& rows) { rows.rows[0].position = -7; });
  refused("row 0: position 100, expected 0 to 99", [](Pass&, Rows& rows) { rows.rows[0].position = 100; });
  refused("row 1: position 70 of sequence 0 comes after position 70",
          [](Pass&, Rows& rows) { rows.rows[1].sequence = 0; });
  refused("row 1: token 50, expected 0 to 49", [](Pass&, Rows& rows) { rows.rows[1].token = 50; });
  refused("two rows write entry 6 of page 1", [](Pass&, Rows& rows) { rows.table[3] = 1; });
  static constexpr PageCopy kCopy{.from = 3, .to = 4};
  refused("copies page 3 to page 4", [](Pass& pass, Rows&) { pass.page_copies = std::span(&kCopy, 1); });
  refused("a negative figure", [](Pass& pass, Rows&) { pass.load.context_sum = -1; });
}

TEST(Appliance, TheWallClockNeverRunsBackAndIgnoresAdvances) {
  WallTimeline clock;
  const Time before = clock.Now();
  clock.AdvanceTo(before + Time::Seconds(1e5));
  const Time after = clock.Now();
  EXPECT_GE(after, before);
  EXPECT_LT(after, before + Time::Seconds(1e5));
}

TEST(Appliance, LinksComeFromTheSpec) {
  ApplianceSpec spec;
  spec.card.link_bytes_per_s.value = 7.88e9;
  spec.card.link_latency_s.value = 1e-6;
  spec.host_turnaround_s.value = 2e-5;
  spec.cards_per_server = 16;
  Links links = Links::Of(spec);
  EXPECT_EQ(links.bytes_per_s, 7.88e9);
  EXPECT_EQ(links.latency, Ps(1'000'000));
  EXPECT_EQ(links.host_turnaround, Ps(20'000'000));
  EXPECT_EQ(links.cards_per_server, 16);
  EXPECT_EQ(links.network_bytes_per_s, 0);
  EXPECT_EQ(links.transfers, Transfers::kDirect);
  EXPECT_EQ(Links::Of(spec, Transfers::kHost).transfers, Transfers::kHost);
  spec.cards_per_switch = 4;
  spec.uplink_bytes_per_s.value = 63e9;
  spec.host_transfer_s.value = 1e-5;
  spec.card.chip.framebuffer_bytes.value = 32 << 20;
  spec.card.link_byte_pj.value = 100;
  links = Links::Of(spec);
  EXPECT_EQ(links.cards_per_switch, 4);
  EXPECT_EQ(links.uplink_bytes_per_s, 63e9);
  EXPECT_EQ(links.host_transfer, Ps(10'000'000));
  EXPECT_EQ(links.framebuffer_bytes, 32 << 20);
  EXPECT_EQ(links.link_energy_per_byte, Energy{100});
  spec.network_bytes_per_s = Figure{.value = 25e9, .note = {}, .low = {}, .high = {}};
  spec.network_latency_s = Figure{.value = 3e-6, .note = {}, .low = {}, .high = {}};
  links = Links::Of(spec);
  EXPECT_EQ(links.network_bytes_per_s, 25e9);
  EXPECT_EQ(links.network_latency, Ps(3'000'000));
}

}  // namespace
}  // namespace lodestone
