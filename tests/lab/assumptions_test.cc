// A constant that moves nothing must not exist: every figure of the catalogue's file of assumptions, at either end of
// its range, changes what a rack takes in time or energy.
#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>

#include "lab/simulation.h"

namespace lodestone {
namespace {

// Layers of small and of wide weights: more than one server of cards, rows of which the small ones leave cores free,
// prompts longer than the partial sums hold.
struct Seen {
  std::array<Time, 2> elapsed;
  std::array<double, 2> joules{};
  friend bool operator==(const Seen&, const Seen&) = default;
};

SimulationOptions OptionsOf(const ApplianceSpec& spec, const char* model, const char* recipe, Transfers transfers) {
  SimulationOptions options;
  options.config = *LoadModelConfig(model);
  options.recipe = *ParseRecipe(recipe);
  options.spec = spec;
  options.transfers = transfers;
  options.users = 4;
  options.micro_batches = 1;
  options.prompt_tokens = 160;
  options.prefill_chunk = 160;
  options.output_tokens = 2;
  return options;
}

Seen Simulate(const ApplianceSpec& spec) {
  Seen seen;
  const std::array<SimulationOptions, 2> runs = {OptionsOf(spec, "llama-3-8b", "w4a4", Transfers::kHost),
                                                 OptionsOf(spec, "genslm-25m", "w8a8", Transfers::kDirect)};
  for (size_t i = 0; i < runs.size(); ++i) {
    const Result<SimulatedRun> run = SimulateBatch(runs[i]);
    EXPECT_TRUE(run.ok()) << run.error().message;
    if (!run.ok()) continue;
    seen.elapsed[i] = run->elapsed;
    seen.joules[i] = run->energy.total_j();
  }
  return seen;
}

TEST(Assumptions, EveryOneMovesAResult) {
  const Result<ApplianceSpec> rack = LoadAppliance("northpole-288");
  ASSERT_TRUE(rack.ok()) << rack.error().message;
  const Seen typical = Simulate(*rack);
  ASSERT_EQ(Simulate(*rack), typical);
  int assumed = 0;
  for (const NamedFigure& named : FiguresOf(*rack)) {
    if (!RestsOnNoSource(named.figure)) continue;
    ++assumed;
    // No recipe multiplies in INT2; tests/timing has its energy.
    if (named.name == "card.chip.int2_op_pj") continue;
    SCOPED_TRACE(named.name);
    bool moves = false;
    for (const double end : {*named.figure.low, *named.figure.high}) {
      if (end == named.figure.value) continue;
      ApplianceSpec spec = *rack;
      ASSERT_TRUE(SetFigure(spec, named.name, end).ok());
      moves |= !(Simulate(spec) == typical);
    }
    EXPECT_TRUE(moves);
  }
  EXPECT_GE(assumed, 24);
}

}  // namespace
}  // namespace lodestone
