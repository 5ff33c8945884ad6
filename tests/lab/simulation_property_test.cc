#include <gtest/gtest.h>

#include <random>

#include "lab/batch.h"
#include "lab/simulation.h"
#include "model/open_model.h"

namespace lodestone::testing {
namespace {

SimulationOptions RandomOptions(std::mt19937_64& random) {
  const auto draw = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  SimulationOptions options;
  options.config = *LoadModelConfig("nano-14l");
  options.recipe = *ParseRecipe(draw(0, 1) == 0 ? "w4a4" : "w4a8c8");
  options.spec = *LoadAppliance(draw(0, 3) == 0 ? "northpole-288" : "northpole-16");
  options.spec.cards = static_cast<int>(draw(6, 16));
  options.fidelity = draw(0, 1) == 0 ? Fidelity::kCalibrated : Fidelity::kIdeal;
  options.transfers = draw(0, 2) == 0 ? Transfers::kHost : Transfers::kDirect;
  options.users = static_cast<int>(draw(1, 60));
  options.micro_batches = static_cast<int>(draw(1, 50));
  options.prefill_chunk = static_cast<int>(draw(0, 1) == 0 ? draw(1, 20) : draw(1, 600));
  options.prompt_tokens = draw(0, 1) == 0 ? draw(1, 10) : draw(1, 300);
  options.output_tokens = draw(0, 1) == 0 ? draw(1, 3) : draw(1, 60);
  return options;
}

Result<BatchResult> RunThroughEngine(const SimulationOptions& options) {
  LODESTONE_ASSIGN_OR_RETURN(OpenedMachine machine, OpenSimulation(options));
  std::vector<Request> requests(static_cast<size_t>(options.users));
  for (Request& request : requests) {
    request.prompt.resize(static_cast<size_t>(options.prompt_tokens));
    request.max_tokens = options.output_tokens;
  }
  return RunBatch(*machine.appliance, *machine.timeline, options.config, nullptr,
                  {.users = options.users,
                   .micro_batches = options.micro_batches,
                   .prefill_chunk = options.prefill_chunk,
                   .context = options.prompt_tokens + options.output_tokens},
                  std::move(requests), [](size_t, const TokenEvent&) {});
}

void ExpectEqual(const SimulatedRun& fast, const BatchResult& engine) {
  EXPECT_EQ(fast.elapsed, engine.elapsed);
  EXPECT_EQ(fast.passes, engine.passes);
  EXPECT_EQ(fast.run.users, engine.run.users);
  EXPECT_EQ(fast.run.tokens_generated, engine.run.tokens_generated);
  EXPECT_EQ(fast.run.prompt_time_s, engine.run.prompt_time_s);
  EXPECT_EQ(fast.run.token_gen_time_s, engine.run.token_gen_time_s);
  EXPECT_EQ(fast.run.cards, engine.run.cards);
  EXPECT_EQ(fast.run.ttft_s, engine.run.ttft_s);
  EXPECT_EQ(fast.run.itl_s, engine.run.itl_s);
  ASSERT_EQ(fast.stages.size(), engine.stages.size());
  for (size_t i = 0; i < fast.stages.size(); ++i) {
    const StageStats &a = fast.stages[i], &b = engine.stages[i];
    SCOPED_TRACE(a.label);
    EXPECT_EQ(a.label, b.label);
    EXPECT_EQ(a.card, b.card);
    EXPECT_EQ(a.busy, b.busy);
    EXPECT_EQ(a.gathers, b.gathers);
    EXPECT_EQ(a.stalls, b.stalls);
    EXPECT_EQ(a.passes, b.passes);
    EXPECT_EQ(a.bytes_in, b.bytes_in);
    EXPECT_EQ(a.bytes_out, b.bytes_out);
    EXPECT_EQ(a.energy.total(), b.energy.total());
    EXPECT_EQ(a.link_energy, b.link_energy);
  }
}

TEST(SimulationProperty, EqualsTheEngineInEveryFigure) {
  std::mt19937_64 random(20240917);
  int feasible = 0;
  for (int i = 0; i < 60; ++i) {
    const SimulationOptions options = RandomOptions(random);
    SCOPED_TRACE(::testing::Message() << "case " << i << ": " << options.users << " users, " << options.micro_batches
                                      << " micro-batches, chunk " << options.prefill_chunk << ", prompt "
                                      << options.prompt_tokens << ", output " << options.output_tokens << ", "
                                      << options.spec.cards << " cards");
    const Result<SimulatedRun> fast = SimulateBatch(options);
    const Result<BatchResult> engine = RunThroughEngine(options);
    ASSERT_EQ(fast.ok(), engine.ok()) << (fast.ok() ? engine.error().message : fast.error().message);
    if (!fast.ok()) continue;
    ++feasible;
    ExpectEqual(*fast, *engine);
  }
  EXPECT_GE(feasible, 40);
}

TEST(SimulationProperty, EnergyIsTheSumOfItsParts) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20; ++i) {
    const SimulationOptions options = RandomOptions(random);
    const Result<SimulatedRun> run = SimulateBatch(options);
    if (!run.ok()) continue;
    double dynamic_j = 0;
    for (const StageStats& stage : run->stages) {
      dynamic_j += stage.energy.total().joules() + stage.link_energy.joules();
      EXPECT_LE(stage.busy + stage.gathers + stage.stalls, run->elapsed) << stage.label;
    }
    const double seconds = run->elapsed.seconds(), cards = run->run.cards;
    const double static_j = options.spec.card.static_power_w.value * seconds * cards;
    EXPECT_NEAR(run->energy.total_j(), static_j + dynamic_j, 1e-12 * (static_j + dynamic_j));
    EXPECT_NEAR(*run->run.power_w_per_card * seconds * cards, run->energy.total_j(), 1e-12 * run->energy.total_j());
  }
}

// The curve of the paper's hardware: smooth in the users but for the steps that the micro-batches make.
TEST(SimulationProperty, UsersAddThroughputAndLatencyBetweenTheStepsOfTheMicroBatches) {
  SimulationOptions options;
  options.config = *LoadModelConfig("granite-3b-14l");
  options.recipe = *ParseRecipe("w4a4");
  options.spec = *LoadAppliance("northpole-16");
  options.micro_batches = 14;
  options.prompt_tokens = options.output_tokens = 64;
  double last_rate = 0;
  Time last_time;
  for (options.users = 1; options.users <= 44; ++options.users) {
    SCOPED_TRACE(options.users);
    const Result<SimulatedRun> run = SimulateBatch(options);
    ASSERT_TRUE(run.ok()) << run.error().message;
    const double rate = run->run.tokens_generated / run->elapsed.seconds();
    EXPECT_GE(run->elapsed, last_time);
    if (options.users % 14 == 1 && options.users > 1) {
      EXPECT_GT(rate, 0.9 * last_rate);  // the largest micro-batch grew by one row
    } else {
      EXPECT_GT(rate, last_rate);
      if (options.users > 1) {
        EXPECT_LT(run->elapsed.seconds(), 1.02 * last_time.seconds());
      }
    }
    last_rate = rate;
    last_time = run->elapsed;
  }
}

// Twice the rate of every link, half of every latency: never slower.
TEST(SimulationProperty, FasterLinksAreNeverSlower) {
  std::mt19937_64 random(99);
  for (int i = 0; i < 15; ++i) {
    SimulationOptions options = RandomOptions(random);
    options.transfers = Transfers::kDirect;
    const Result<SimulatedRun> before = SimulateBatch(options);
    if (!before.ok()) continue;
    options.placement = before->placement;
    for (Figure* rate : {&options.spec.card.link_bytes_per_s, &options.spec.uplink_bytes_per_s}) rate->value *= 2;
    for (Figure* time : {&options.spec.card.link_latency_s, &options.spec.host_turnaround_s}) time->value /= 2;
    const Result<SimulatedRun> after = SimulateBatch(options);
    ASSERT_TRUE(after.ok()) << after.error().message;
    EXPECT_LE(after->elapsed, before->elapsed) << i;
  }
}

}  // namespace
}  // namespace lodestone::testing
