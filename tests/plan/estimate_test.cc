#include "plan/estimate.h"

#include <gtest/gtest.h>

#include <vector>

namespace lodestone {
namespace {

// Cards of 1 GB/s (1 ns a byte) and 100 ns; servers of 4 cards, 0.5 GB/s and 1 µs apart; 2 µs at the host.
ApplianceSpec Cards(int cards) {
  ApplianceSpec spec;
  spec.cards = cards;
  spec.cards_per_server = 4;
  spec.card.link_bytes_per_s.value = 1e9;
  spec.card.link_latency_s.value = 100e-9;
  spec.card.link_byte_pj.value = 10;
  spec.card.static_power_w.value = 20;
  spec.host_turnaround_s.value = 2e-6;
  spec.network_bytes_per_s.emplace().value = 0.5e9;
  spec.network_latency_s.emplace().value = 1e-6;
  return spec;
}

StepCost Cost(int64_t ns, int64_t in_bytes, int64_t out_bytes) {
  StepCost cost;
  cost.decode.time = {ns * 1000};
  cost.decode.input_bytes = in_bytes;
  cost.decode.output_bytes = out_bytes;
  cost.prefill = cost.decode;
  cost.prefill.time = {ns * 4000};
  return cost;
}

Demand Users(int users, int group, int chunk = 8) {
  return {.users = users, .context = 1024, .rows_per_pass = chunk + group - 1, .decode_rows = group};
}

TEST(Estimate, RoundTripIsTheSumOfMovesAndSteps) {
  const StepCost layer = Cost(10'000, 50, 50), output = Cost(4'000, 50, 200);
  const std::vector<EstimatedStep> steps{{&layer, 1}, {&layer, 1}, {&output, 1}};
  const PipelineEstimate one = EstimatePipeline(steps, Cards(4), Users(1, 1));
  // Host to card 150 ns, 10 µs, 150 ns, 10 µs, 150 ns, 4 µs, 200 + 100 ns to the host, 2 µs there.
  EXPECT_EQ(one.round_trip.ps, (150 + 10'000 + 150 + 10'000 + 150 + 4'000 + 300 + 2'000) * 1000);
  EXPECT_EQ(one.period, one.round_trip);
  EXPECT_EQ(one.groups, 1);
  EXPECT_EQ(one.slowest.ps, 10'000'000);
  EXPECT_EQ(one.fastest.ps, 4'000'000);
  EXPECT_EQ(one.mean.ps, 8'000'000);
  EXPECT_DOUBLE_EQ(one.tokens_per_s, 1 / one.round_trip.seconds());
  // A chunk of 8 every 40 µs.
  EXPECT_DOUBLE_EQ(one.prompt_tokens_per_s, 8 / 40e-6);
}

TEST(Estimate, ManyGroupsWaitForTheSlowestStep) {
  const StepCost layer = Cost(10'000, 50, 50), output = Cost(4'000, 50, 200);
  const std::vector<EstimatedStep> steps{{&layer, 1}, {&output, 1}};
  const PipelineEstimate estimate = EstimatePipeline(steps, Cards(4), Users(20, 2));
  EXPECT_EQ(estimate.groups, 10);
  EXPECT_EQ(estimate.slowest_step, 0);
  EXPECT_EQ(estimate.period.ps, 10 * 10'000'000);
  EXPECT_DOUBLE_EQ(estimate.tokens_per_s, 20 / 100e-6);
}

TEST(Estimate, ALinkThatIsSlowerThanItsStepSetsThePace) {
  const StepCost layer = Cost(10'000, 30'000, 30'000), output = Cost(4'000, 30'000, 200);
  const std::vector<EstimatedStep> steps{{&layer, 1}, {&output, 1}};
  EXPECT_EQ(EstimatePipeline(steps, Cards(4), Users(20, 1)).slowest.ps, 30'000'000);
}

TEST(Estimate, RanksGatherAfterEachSectionButTheLast) {
  StepCost split = Cost(6'000, 50, 50);
  split.decode.sections = {{{4'000'000}, 100}, {{2'000'000}, 0}};
  const StepCost output = Cost(1'000, 50, 200);
  // Each of four ranks sends 100 bytes to three others: 300 ns and 100 ns.
  EXPECT_EQ(StepTime(split.decode, 4, Cards(8)).ps, 6'400'000);
  EXPECT_EQ(StepTime(split.decode, 1, Cards(8)).ps, 6'000'000);
  const std::vector<EstimatedStep> steps{{&split, 4}, {&output, 1}};
  EXPECT_EQ(EstimatePipeline(steps, Cards(8), Users(9, 1)).slowest.ps, 6'400'000);
}

TEST(Estimate, AbsurdTimesSaturate) {
  const StepCost layer = Cost(2'000'000'000'000'000, 1'000, 1'000);  // 23 days
  const std::vector<EstimatedStep> steps(8, {&layer, 1});
  const PipelineEstimate estimate = EstimatePipeline(steps, Cards(8), Users(1'000'000, 1));
  EXPECT_GE(estimate.period, estimate.round_trip);
  EXPECT_GE(estimate.round_trip, estimate.slowest);
  EXPECT_EQ(estimate.slowest, Time::Seconds(1e6));
  EXPECT_GT(estimate.tokens_per_s, 0);
}

TEST(Estimate, ServersAreApart) {
  const StepCost layer = Cost(1'000, 100, 100), output = Cost(1'000, 100, 100);
  const auto round_trip = [&](int layers) {
    std::vector<EstimatedStep> steps(static_cast<size_t>(layers), {&layer, 1});
    steps.push_back({&output, 1});
    return EstimatePipeline(steps, Cards(16), Users(1, 1)).round_trip.ps / 1000;
  };
  // Each step 1 µs; five moves of 200 ns in a server; the way to the next server and back are 1.2 µs each.
  EXPECT_EQ(round_trip(3), 4 * 1'000 + 5 * 200 + 2'000);
  EXPECT_EQ(round_trip(4), 5 * 1'000 + 4 * 200 + 2 * 1'200 + 2'000);
}

TEST(Estimate, WattsAreStaticAndWhatPassesTake) {
  StepCost layer = Cost(10'000, 0, 0);
  layer.decode.energy.matrix = Energy::Joules(2e-6);
  const std::vector<EstimatedStep> idle{{&layer, 2}, {&layer, 1}};
  // Three cards of 20 W; 3 × 2 µJ every 10 µs.
  EXPECT_NEAR(EstimatePipeline(idle, Cards(4), Users(40, 1)).watts, 60 + 6e-6 / 10e-6, 1e-9);
  const StepCost moving = Cost(10'000, 1'000, 1'000);
  const std::vector<EstimatedStep> steps{{&moving, 1}, {&moving, 1}};
  // In at the host's side, out and in between the cards, out: 4,000 bytes × 10 pJ every 10 µs.
  EXPECT_NEAR(EstimatePipeline(steps, Cards(4), Users(40, 1)).watts, 40 + 4'000 * 10e-12 / 10e-6, 1e-9);
}

TEST(Estimate, LoadsAreOfHalfTheContext) {
  const Demand demand = Users(6, 2, 16);
  const Load decode = DecodeLoadOf(demand), prefill = PrefillLoadOf(demand);
  EXPECT_EQ(decode.rows, 2);
  EXPECT_EQ(decode.context_sum, 2 * 512);
  EXPECT_EQ(ChunkOf(demand), 16);
  EXPECT_EQ(prefill.rows, 16);
  EXPECT_EQ(prefill.logit_rows, 0);
  EXPECT_EQ(prefill.context_sum, 16 * 256 + 16 * 17 / 2);
  EXPECT_EQ(prefill.kv_tokens_read, 256 + 16);
}

TEST(Instances, ShareAServerOrHaveServersForThemselves) {
  EXPECT_EQ(InstancesOf(1, Cards(4)), 4);
  EXPECT_EQ(InstancesOf(3, Cards(4)), 1);
  EXPECT_EQ(InstancesOf(5, Cards(4)), 0);
  EXPECT_EQ(InstancesOf(3, Cards(16)), 4);  // one a server, though 16 / 3 is 5
  EXPECT_EQ(InstancesOf(2, Cards(15)), 7);  // two in each of three servers, one in the last of three cards
  EXPECT_EQ(InstancesOf(5, Cards(16)), 2);  // two servers each
  EXPECT_EQ(InstancesOf(5, Cards(13)), 2);
  EXPECT_EQ(InstancesOf(6, Cards(14)), 2);  // the second in a server and a half
  EXPECT_EQ(InstancesOf(82,
                        [] {
                          ApplianceSpec rack = Cards(288);
                          rack.cards_per_server = 16;
                          return rack;
                        }()),
            3);
}

}  // namespace
}  // namespace lodestone
