#include "cli/power.h"

#include <gtest/gtest.h>

#include "timing/northpole.h"

namespace lodestone::cli {
namespace {

std::optional<ApplianceSpec> NorthPole() {
  const auto spec = LoadAppliance("northpole-16");
  EXPECT_TRUE(spec.ok());
  return *spec;
}

const Measure& EnergyMeasure(const std::vector<Measure>& measures) {
  for (const Measure& measure : measures) {
    if (measure.name == "energy_metric_tokens_per_j") return measure;
  }
  ADD_FAILURE() << "no energy measure";
  return measures.front();
}

BatchRun HalfAHundredTokensPerSecond() {
  BatchRun run;
  run.users = 1;
  run.tokens_generated = 100;
  run.prompt_time_s = 1;
  run.token_gen_time_s = 1;
  return run;
}

TEST(Power, OfSimulatedCardsIsStaticPowerAndWhatStagesAndLinksTook) {
  const ApplianceSpec spec = *NorthPole();
  BatchRun run = HalfAHundredTokensPerSecond();
  run.cards = 2;
  std::vector<StageStats> stages(2);
  stages[0].energy.matrix = Energy::Joules(6);
  stages[1].link_energy = Energy::Joules(2);
  SetPower(spec, std::nullopt, nullptr, Time::Seconds(2), stages, &run);
  const double watts = spec.card.static_power_w.value + (6 + 2) / 2.0 / 2;
  EXPECT_DOUBLE_EQ(*run.power_w_per_card, watts);
  const Measure energy = EnergyMeasure(MeasuresWithReasons(run, spec));
  EXPECT_EQ(energy.provenance, Provenance::kSimulated);
  EXPECT_DOUBLE_EQ(energy.value.value_or(0), 50.0 / 2 / watts);
  EXPECT_NE(energy.reason.find("fitted"), std::string::npos) << energy.reason;
}

TEST(Power, StatedByTheUserWins) {
  for (const auto& spec : {std::optional<ApplianceSpec>(), NorthPole()}) {
    BatchRun run = HalfAHundredTokensPerSecond();
    SetPower(spec, 25, nullptr, Time::Seconds(2), {}, &run);
    const Measure energy = EnergyMeasure(MeasuresWithReasons(run, spec));
    EXPECT_EQ(energy.provenance, Provenance::kUserStated);
    EXPECT_DOUBLE_EQ(energy.value.value_or(0), 2);
  }
}

TEST(Power, UnknownIsUnavailableWithAReason) {
  BatchRun run = HalfAHundredTokensPerSecond();
  SetPower(std::nullopt, std::nullopt, nullptr, Time::Seconds(2), {}, &run);
  const Measure energy = EnergyMeasure(MeasuresWithReasons(run, std::nullopt));
  EXPECT_FALSE(energy.value.has_value());
  EXPECT_FALSE(energy.reason.empty());
}

TEST(Power, AssumptionsHaveRangesAndReasonsAndTheIdealNeedsFewer) {
  const std::vector<Assumption> calibrated = AssumptionsOf(*NorthPole(), false);
  const std::vector<Assumption> ideal = AssumptionsOf(*NorthPole(), true);
  EXPECT_LT(ideal.size(), calibrated.size());
  bool fitted = false;
  for (const Assumption& assumption : calibrated) {
    EXPECT_NE(assumption.note.find("Range "), std::string::npos) << assumption.name;
    fitted = fitted || assumption.name.ends_with("operator_start_cycles");
  }
  EXPECT_TRUE(fitted);
  for (const Assumption& assumption : ideal) EXPECT_FALSE(IdealIgnores(assumption.name)) << assumption.name;
}

}  // namespace
}  // namespace lodestone::cli
