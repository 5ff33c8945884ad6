#include "lab/simulation.h"

#include <gtest/gtest.h>

#include "small_simulation.h"

namespace lodestone::testing {
namespace {

TEST(Simulation, CountsTokensAndPasses) {
  SimulationOptions options = SmallSimulation();
  options.users = 5;
  options.micro_batches = 2;
  options.prefill_chunk = 32;
  options.prompt_tokens = 40;
  options.output_tokens = 3;
  const Result<SimulatedRun> run = SimulateBatch(options);
  ASSERT_TRUE(run.ok()) << run.error().message;
  EXPECT_EQ(run->tokens, 5 * 43);
  EXPECT_EQ(run->run.tokens_generated, 15);
  EXPECT_EQ(run->run.users, 5);
  // Three users bring 120 prompt tokens in 4 passes of 32, 32, 32 and 24, two bring 80 in 3; the last of either brings
  // the last user's first token, and two more passes his others.
  EXPECT_EQ(run->passes, (4 + 2) + (3 + 2));
  for (const StageStats& stage : run->stages) EXPECT_EQ(stage.passes, run->passes) << stage.label;
  EXPECT_GT(run->run.power_w_per_card.value_or(0), options.spec.card.static_power_w.value);
  EXPECT_EQ(run->run.power_provenance, Provenance::kSimulated);
  EXPECT_EQ(run->run.provenance, Provenance::kSimulated);
}

TEST(Simulation, NamesTheBusiestStage) {
  SimulationOptions options = SmallSimulation();
  options.users = options.micro_batches = 1;
  const Result<SimulatedRun> alone = SimulateBatch(options);
  ASSERT_TRUE(alone.ok()) << alone.error().message;
  EXPECT_STREQ(alone->bottleneck.bound(), "chain");  // one pass on its way through 15 stages
  EXPECT_LT(alone->bottleneck.occupancy, 0.5);
  options.users = options.micro_batches = 64;
  const Result<SimulatedRun> full = SimulateBatch(options);
  ASSERT_TRUE(full.ok()) << full.error().message;
  EXPECT_STRNE(full->bottleneck.bound(), "chain");
  for (const StageStats& stage : full->stages) {
    EXPECT_LE(stage.busy, full->stages[static_cast<size_t>(full->bottleneck.stage)].busy);
  }
}

TEST(Simulation, TypicalLoads) {
  SimulationOptions options = SmallSimulation();  // 6 users in 4 groups: two in the largest
  const Load decode = TypicalDecodeLoad(options);
  EXPECT_EQ(decode.rows, 2);
  EXPECT_EQ(decode.context_max, 45);
  EXPECT_EQ(decode.context_sum, 90);
  const Load prefill = TypicalPrefillLoad(options);  // positions 5 to 36 of 40
  EXPECT_EQ(prefill.rows, 32);
  EXPECT_EQ(prefill.context_max, 36);
  EXPECT_EQ(prefill.context_sum, 32 * (5 + 36) / 2);
  EXPECT_EQ(prefill.logit_rows, 0);
}

TEST(Simulation, RefusesWithTheNumbers) {
  const auto message = [](auto change) {
    SimulationOptions options = SmallSimulation();
    change(options);
    const Result<SimulatedRun> run = SimulateBatch(options);
    return run.ok() ? std::string("ran") : run.error().message;
  };
  EXPECT_NE(message([](auto& o) { o.users = 0; }).find("0 users"), std::string::npos);
  EXPECT_NE(message([](auto& o) { o.micro_batches = -1; }).find("-1 micro-batches"), std::string::npos);
  EXPECT_NE(message([](auto& o) { o.prefill_chunk = 0; }).find("0 tokens in a prefill chunk"), std::string::npos);
  EXPECT_NE(message([](auto& o) { o.prompt_tokens = 0; }).find("0 prompt tokens"), std::string::npos);
  EXPECT_NE(message([](auto& o) { o.output_tokens = 0; }).find("0 tokens to generate"), std::string::npos);
  EXPECT_NE(message([](auto& o) { o.prompt_tokens = 3000; }).find("'nano-14l' has 2048"), std::string::npos);
  EXPECT_NE(message([](auto& o) {
              o.users = 1'000'000;
              o.output_tokens = 960;
            }).find("1000000000 tokens; at most 100000000"),
            std::string::npos);
}

TEST(Simulation, AMillionCardsAnswer) {
  SimulationOptions options = SmallSimulation();
  options.spec = *LoadAppliance("northpole-288");
  options.spec.cards = 1'000'000;
  const Result<SimulatedRun> run = SimulateBatch(options);
  ASSERT_TRUE(run.ok()) << run.error().message;
  EXPECT_LT(run->placement.cards_used, 20);
  EXPECT_GT(run->placement.instances, 60'000);
}

}  // namespace
}  // namespace lodestone::testing
