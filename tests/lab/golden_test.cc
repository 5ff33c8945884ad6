// Predictions to the picosecond and the microjoule. A changed formula or constant shows here as a diff: look at what it
// does to every workload, then write the new figures down.
#include <gtest/gtest.h>

#include <ostream>

#include "lab/simulation.h"
#include "model/open_model.h"

namespace lodestone::testing {
namespace {

struct Golden {
  const char *name, *model, *recipe, *appliance;
  int users, micro_batches, chunk;
  int64_t prompt_tokens, output_tokens;
  Transfers transfers;
  // What is predicted.
  int64_t elapsed_ps, prompt_ps, passes, energy_uj;
};
std::ostream& operator<<(std::ostream& out, const Golden& golden) { return out << golden.name; }

constexpr Golden kGolden[] = {
    {"Hpec", "granite-3b-14l", "w4a4", "northpole-16", 28, 14, 128, 1024, 1024, Transfers::kDirect, 1'011'164'693'424,
     90'111'280'640, 14'546, 679'547'044},
    {"HpecThroughTheHost", "granite-3b-14l", "w4a4", "northpole-16", 28, 14, 128, 128, 128, Transfers::kHost,
     283'885'963'054, 18'351'235'966, 1'806, 178'608'441},
    {"OneUser", "granite-3b-14l", "w4a4", "northpole-16", 1, 1, 128, 256, 256, Transfers::kDirect, 230'399'028'868,
     10'731'868'278, 257, 138'401'933},
    {"Rack8b", "granite-3.3-8b", "w4a8c8", "northpole-288", 28, 28, 128, 1024, 1024, Transfers::kDirect,
     2'814'229'516'032, 195'087'159'808, 28'868, 8'939'361'316},
    {"Rack70b", "llama-3-70b", "w4a8c8", "northpole-288", 28, 28, 64, 64, 64, Transfers::kDirect, 610'655'856'866,
     139'724'072'144, 1'792, 5'771'931'636},
    {"TwoBitWeights", "granite-3.3-8b", "w2a8", "northpole-288", 28, 28, 128, 128, 128, Transfers::kDirect,
     306'552'556'484, 26'071'783'208, 3'584, 509'635'960},
    {"Gpt2", "gpt2", "w8a8", "northpole-16", 4, 4, 64, 100, 28, Transfers::kDirect, 18'018'541'567, 1'663'268'401, 116,
     8'783'352},
};

class GoldenPredictions : public ::testing::TestWithParam<Golden> {};

TEST_P(GoldenPredictions, AreUnchanged) {
  const Golden& golden = GetParam();
  SimulationOptions options;
  const auto config = OpenShape(golden.model);
  const auto recipe = ParseRecipe(golden.recipe);
  const auto spec = LoadAppliance(golden.appliance);
  ASSERT_TRUE(config.ok() && recipe.ok() && spec.ok());
  options.config = *config;
  options.recipe = *recipe;
  options.spec = *spec;
  options.transfers = golden.transfers;
  options.users = golden.users;
  options.micro_batches = golden.micro_batches;
  options.prefill_chunk = golden.chunk;
  options.prompt_tokens = golden.prompt_tokens;
  options.output_tokens = golden.output_tokens;
  const Result<SimulatedRun> run = SimulateBatch(options);
  ASSERT_TRUE(run.ok()) << run.error().message;
  EXPECT_EQ(run->elapsed.ps, golden.elapsed_ps);
  EXPECT_EQ(Time::Seconds(run->run.prompt_time_s).ps, golden.prompt_ps);
  EXPECT_EQ(run->passes, golden.passes);
  EXPECT_EQ(static_cast<int64_t>(run->energy.total_j() * 1e6 + 0.5), golden.energy_uj);
}

INSTANTIATE_TEST_SUITE_P(Workloads, GoldenPredictions, ::testing::ValuesIn(kGolden),
                         [](const auto& golden) { return golden.param.name; });

}  // namespace
}  // namespace lodestone::testing
