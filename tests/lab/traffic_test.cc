#include "lab/traffic.h"

#include <gtest/gtest.h>

#include <random>

#include "small_simulation.h"

namespace lodestone::testing {
namespace {

TrafficOptions SmallTraffic() { return {.machine = SmallSimulation(), .goals = {}}; }

TEST(Traffic, OneRequestIsABatchOfOne) {
  TrafficOptions options = SmallTraffic();
  options.machine.users = 1;
  const std::vector<Arrival> arrivals{{Time::Seconds(3), 40, 10}};
  const Result<TrafficResult> traffic = RunTraffic(options, arrivals);
  const Result<SimulatedRun> batch = SimulateBatch(options.machine);
  ASSERT_TRUE(traffic.ok() && batch.ok());
  EXPECT_EQ(traffic->elapsed, batch->elapsed);  // from the arrival on
  EXPECT_EQ(traffic->working, batch->elapsed);
  EXPECT_EQ(traffic->passes, batch->passes);
  EXPECT_DOUBLE_EQ(traffic->ttft_ms.mean, *batch->run.ttft_s * 1e3);
  EXPECT_DOUBLE_EQ(traffic->tpot_ms.mean, *batch->run.itl_s * 1e3);
  EXPECT_EQ(traffic->itl_ms.count, 9);
  EXPECT_EQ(traffic->queue_ms.max, 0);
  EXPECT_EQ(traffic->most_requests, 1);
  EXPECT_DOUBLE_EQ(traffic->energy.total_j(), batch->energy.total_j());
}

// All arrive at once: the trace is the batch.
TEST(TrafficProperty, ABurstIsABatch) {
  std::mt19937_64 random(5);
  const auto draw = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  for (int i = 0; i < 20; ++i) {
    TrafficOptions options = SmallTraffic();
    SimulationOptions& machine = options.machine;
    machine.users = static_cast<int>(draw(1, 20));
    machine.micro_batches = static_cast<int>(draw(1, 20));
    machine.prefill_chunk = static_cast<int>(draw(1, 100));
    machine.prompt_tokens = draw(1, 100);
    machine.output_tokens = draw(2, 20);
    const std::vector<Arrival> arrivals(static_cast<size_t>(machine.users),
                                        {Time{}, machine.prompt_tokens, machine.output_tokens});
    const Result<TrafficResult> traffic = RunTraffic(options, arrivals);
    const Result<SimulatedRun> batch = SimulateBatch(machine);
    ASSERT_TRUE(traffic.ok()) << traffic.error().message;
    ASSERT_TRUE(batch.ok()) << batch.error().message;
    EXPECT_EQ(traffic->elapsed, batch->elapsed) << i;
    EXPECT_EQ(traffic->passes, batch->passes) << i;
    EXPECT_EQ(traffic->most_requests, machine.users) << i;
    EXPECT_NEAR(traffic->ttft_ms.mean, *batch->run.ttft_s * 1e3, 1e-9) << i;
    EXPECT_NEAR(traffic->itl_ms.mean, *batch->run.itl_s * 1e3, 1e-9) << i;
  }
}

TEST(Traffic, RequestsFarApartDoNotMeet) {
  TrafficOptions options = SmallTraffic();
  const Result<TrafficResult> alone = RunTraffic(options, std::vector<Arrival>{{Time{}, 40, 10}});
  const Result<TrafficResult> both =
      RunTraffic(options, std::vector<Arrival>{{Time{}, 40, 10}, {Time::Seconds(5), 40, 10}});
  ASSERT_TRUE(alone.ok() && both.ok());
  EXPECT_EQ(both->ttft_ms.min, alone->ttft_ms.min);
  EXPECT_NEAR(both->e2el_ms.max, alone->e2el_ms.max, 1e-9);
  EXPECT_EQ(both->working, alone->working + alone->working);
  EXPECT_EQ(both->elapsed, Time::Seconds(5) + alone->elapsed);
  EXPECT_EQ(both->most_requests, 1);
  ASSERT_FALSE(both->stages.empty());
  for (size_t i = 0; i < both->stages.size(); ++i) {
    EXPECT_LT(both->stages[i].occupancy, 0.01);                            // idle for seconds,
    EXPECT_NEAR(both->stages[i].bubbles, alone->stages[i].bubbles, 1e-9);  // but not while there was work
  }
}

// It arrives while the first is under way, and its first pass follows at once: it does not wait for the other's pass.
TEST(Traffic, ARequestJoinsAtItsArrival) {
  TrafficOptions options = SmallTraffic();
  options.machine.users = options.machine.micro_batches = 2;
  options.machine.prefill_chunk = 64;
  const Result<TrafficResult> alone = RunTraffic(options, std::vector<Arrival>{{Time{}, 40, 10}});
  ASSERT_TRUE(alone.ok());
  const Time late = Time::Seconds(alone->ttft_ms.min * 1e-3 * 0.5);
  const Result<TrafficResult> both = RunTraffic(options, std::vector<Arrival>{{Time{}, 40, 10}, {late, 40, 10}});
  ASSERT_TRUE(both.ok());
  EXPECT_EQ(both->queue_ms.max, 0);
  EXPECT_NEAR(both->ttft_ms.max, alone->ttft_ms.min, 1e-9);  // other cards are free when it gets to them
}

TEST(Traffic, WhoFindsNoSeatWaits) {
  TrafficOptions options = SmallTraffic();
  options.machine.users = 1;
  const Result<TrafficResult> alone = RunTraffic(options, std::vector<Arrival>{{Time{}, 40, 10}});
  const Result<TrafficResult> both = RunTraffic(options, std::vector<Arrival>{{Time{}, 40, 10}, {Time{}, 40, 10}});
  ASSERT_TRUE(alone.ok() && both.ok());
  EXPECT_EQ(both->queue_ms.min, 0);
  EXPECT_NEAR(both->queue_ms.max, alone->e2el_ms.max, 1e-9);
  EXPECT_NEAR(both->e2el_ms.max, 2 * alone->e2el_ms.max, 1e-9);
  EXPECT_EQ(both->most_requests, 2);
}

TEST(Traffic, MoreSeatsThanPagesMayPreempt) {
  TrafficOptions options = SmallTraffic();
  options.machine.users = 2;  // pages of two users with 200 positions: four pages each
  options.seats = 6;
  std::vector<Arrival> arrivals(6, {Time{}, 60, 140});
  const Result<TrafficResult> traffic = RunTraffic(options, arrivals);
  ASSERT_TRUE(traffic.ok()) << traffic.error().message;
  EXPECT_EQ(traffic->requests, 6);
  EXPECT_EQ(traffic->output_tokens, 6 * 140);
  EXPECT_GT(traffic->preemptions, 0);
  options.seats = 0;
  const Result<TrafficResult> reserved = RunTraffic(options, arrivals);
  ASSERT_TRUE(reserved.ok());
  EXPECT_EQ(reserved->preemptions, 0);
}

TEST(Traffic, GoodputCountsRequestsThatKeepEveryGoal) {
  TrafficOptions options = SmallTraffic();
  options.machine.users = 1;
  const std::vector<Arrival> arrivals{{Time{}, 40, 10}, {Time{}, 40, 10}};
  const Result<TrafficResult> none = RunTraffic(options, arrivals);
  ASSERT_TRUE(none.ok());
  EXPECT_FALSE(none->good_requests.has_value());
  options.goals.ttft_ms = (none->ttft_ms.min + none->ttft_ms.max) / 2;
  EXPECT_EQ(RunTraffic(options, arrivals)->good_requests, 1);
  options.goals.tpot_ms = none->tpot_ms.min / 2;
  EXPECT_EQ(RunTraffic(options, arrivals)->good_requests, 0);
  options.goals = {.e2el_ms = none->e2el_ms.max};
  EXPECT_EQ(RunTraffic(options, arrivals)->good_requests, 2);
}

TEST(TrafficProperty, SameSeedSameBytes) {
  const PoissonProcess process{
      .requests_per_s = 2000, .requests = 60, .prompt_tokens = {1, 120}, .output_tokens = {1, 40}, .seed = 11};
  TrafficOptions options = SmallTraffic();
  options.goals.ttft_ms = 10;
  const auto text = [&] {
    const Result<TrafficResult> result = RunTraffic(options, *PoissonArrivals(process));
    return ToJson(*result).Dump() + RenderTraffic(*result);
  };
  EXPECT_EQ(text(), text());
}

TEST(TrafficProperty, FiguresAreWithinTheirBounds) {
  for (uint64_t seed = 0; seed < 8; ++seed) {
    const PoissonProcess process{.requests_per_s = seed % 2 == 0 ? 300.0 : 30'000.0,
                                 .requests = 80,
                                 .prompt_tokens = {1, 150},
                                 .output_tokens = {1, 30},
                                 .seed = seed};
    const std::vector<Arrival> arrivals = *PoissonArrivals(process);
    const Result<TrafficResult> result = RunTraffic(SmallTraffic(), arrivals);
    ASSERT_TRUE(result.ok()) << result.error().message;
    int64_t prompts = 0, outputs = 0;
    for (const Arrival& arrival : arrivals) {
      prompts += arrival.prompt_tokens;
      outputs += arrival.output_tokens;
    }
    EXPECT_EQ(result->prompt_tokens, prompts);
    EXPECT_EQ(result->output_tokens, outputs);
    EXPECT_EQ(result->itl_ms.count, outputs - 80);
    EXPECT_LE(result->working, result->elapsed);
    EXPECT_LE(result->queue_ms.max, result->ttft_ms.max);
    EXPECT_LE(result->ttft_ms.max, result->e2el_ms.max);
    for (const Distribution& d : {result->ttft_ms, result->itl_ms, result->e2el_ms, result->queue_ms}) {
      EXPECT_TRUE(d.min <= d.p50 && d.p50 <= d.p90 && d.p90 <= d.p95 && d.p95 <= d.p99 && d.p99 <= d.max);
    }
    for (const StageLoad& stage : result->stages) {
      EXPECT_TRUE(stage.occupancy >= 0 && stage.occupancy <= 1 && stage.bubbles >= 0 && stage.bubbles <= 1);
    }
  }
}

// No request has the longest prompt and the longest output: pages are for the longest context that one has.
TEST(Traffic, TheMachineIsForTheLongestContext) {
  TrafficOptions options = SmallTraffic();
  options.seats = 12;
  const std::vector<Arrival> arrivals{{Time{}, 1500, 2}, {Time{}, 3, 1600}};
  const Result<SimulationOptions> machine = MachineFor(options, arrivals);
  ASSERT_TRUE(machine.ok()) << machine.error().message;
  EXPECT_EQ(machine->prompt_tokens, 1500);
  EXPECT_EQ(machine->prompt_tokens + machine->output_tokens, 1603);
  ASSERT_TRUE(machine->placement.has_value());
  EXPECT_EQ(machine->placement->demand.context, 1603);
  // Whoever takes that machine for the run's gets the same run.
  const Result<TrafficResult> prepared =
      RunTraffic({.machine = *machine, .seats = options.seats, .goals = {}}, arrivals);
  const Result<TrafficResult> plain = RunTraffic(options, arrivals);
  ASSERT_TRUE(prepared.ok() && plain.ok());
  EXPECT_EQ(ToJson(*prepared).Dump(), ToJson(*plain).Dump());
}

TEST(Traffic, RefusesBadTraces) {
  const TrafficOptions options = SmallTraffic();
  EXPECT_FALSE(RunTraffic(options, {}).ok());
  EXPECT_FALSE(RunTraffic(options, std::vector<Arrival>{{Time::Seconds(2), 1, 1}, {Time::Seconds(1), 1, 1}}).ok());
  EXPECT_FALSE(RunTraffic(options, std::vector<Arrival>{{Time{}, 0, 1}}).ok());
  EXPECT_FALSE(RunTraffic(options, std::vector<Arrival>{{Time{}, 2000, 100}}).ok());  // beyond the model's positions
  const std::vector<Arrival> many(200, {Time{}, 1 << 20, 1 << 20});
  const Result<TrafficResult> too_many = RunTraffic(options, many);
  ASSERT_FALSE(too_many.ok());
  EXPECT_NE(too_many.error().message.find("the first 48 of 200"), std::string::npos) << too_many.error().message;
  TrafficOptions few = options;
  few.seats = few.machine.users - 1;
  EXPECT_FALSE(RunTraffic(few, std::vector<Arrival>{{Time{}, 1, 1}}).ok());
}

}  // namespace
}  // namespace lodestone::testing
