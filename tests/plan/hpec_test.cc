// The two fitted constants of catalog/hardware/northpole-assumptions.toml against the run that they were fitted on, and
// what the model predicts for it, to the picosecond: a changed formula shows as a diff.
#include <gtest/gtest.h>

#include <cmath>

#include "hpec_run.h"

namespace lodestone {
namespace {

using testing::HpecRun;
using testing::RunHpec;

ApplianceSpec NorthPole16() {
  Result<ApplianceSpec> spec = LoadAppliance("northpole-16");
  LODESTONE_CHECK(spec.ok());
  return *std::move(spec);
}
HpecRun Predict(const ApplianceSpec& spec, Fidelity fidelity = Fidelity::kCalibrated) {
  const Result<HpecRun> run = RunHpec(spec, fidelity);
  LODESTONE_CHECK(run.ok());
  return *run;
}

TEST(HpecFit, ThroughputAndPowerAreThePublishedOnes) {
  const ApplianceSpec spec = NorthPole16();
  const HpecRun run = Predict(spec);
  EXPECT_NEAR(run.tokens_per_s(), 28356, 0.001 * 28356);
  EXPECT_NEAR(run.total.seconds() / 1024, 0.987e-3, 0.002 * 0.987e-3);
  EXPECT_EQ(run.cards, 16);
  EXPECT_NEAR(run.watts(spec.card.static_power_w.value), 42, 0.05);
}

// One cycle more or less at the start of an operator is further from the published throughput.
TEST(HpecFit, TheStartOfAnOperatorIsFittedToTheCycle) {
  ApplianceSpec spec = NorthPole16();
  const double fitted = spec.card.chip.operator_start_cycles.value;
  const double off = std::abs(Predict(spec).tokens_per_s() - 28356);
  for (const double cycles : {fitted - 1, fitted + 1}) {
    spec.card.chip.operator_start_cycles.value = cycles;
    EXPECT_GT(std::abs(Predict(spec).tokens_per_s() - 28356), off) << cycles;
  }
}

// The range of the fit is what the other assumptions, each at an end of its range, leave open: the notes name those
// that reach furthest.
TEST(HpecFit, TheRangesOfTheFitsCoverTheOtherAssumptions) {
  const ApplianceSpec spec = NorthPole16();
  const Figure start = spec.card.chip.operator_start_cycles, power = spec.card.static_power_w;
  const auto throughput_at = [&](const char* name, double value, double cycles) {
    ApplianceSpec other = spec;
    EXPECT_TRUE(SetFigure(other, name, value).ok());
    other.card.chip.operator_start_cycles.value = cycles;
    return Predict(other).tokens_per_s();
  };
  EXPECT_NEAR(throughput_at("card.chip.hop_cycles", 4, *start.low), 28356, 15);
  EXPECT_NEAR(throughput_at("card.chip.clock_hz", 425e6, *start.high), 28356, 15);
  for (const auto& [pj, watts] : {std::pair(0.5, *power.high), std::pair(4.0, *power.low)}) {
    ApplianceSpec other = spec;
    other.card.chip.memory_byte_pj.value = pj;
    EXPECT_NEAR(Predict(other).watts(watts), 42, 0.05);
  }
}

TEST(HpecRun, RatesAloneAreOptimistic) {
  const HpecRun ideal = Predict(NorthPole16(), Fidelity::kIdeal);
  EXPECT_GT(ideal.tokens_per_s(), 2 * 28356);
  EXPECT_LT(ideal.tokens_per_s(), 3 * 28356);
}

TEST(HpecRun, GoldenPrediction) {
  const HpecRun calibrated = Predict(NorthPole16()), ideal = Predict(NorthPole16(), Fidelity::kIdeal);
  EXPECT_EQ(calibrated.prompt.ps, 90'111'280'640);
  EXPECT_EQ(calibrated.total.ps, 1'011'164'693'424);
  EXPECT_EQ(calibrated.dynamic.pj, 74'550'048'292'356);
  EXPECT_EQ(calibrated.links.pj, 1'972'312'473'600);
  EXPECT_EQ(ideal.prompt.ps, 79'621'373'140);
  EXPECT_EQ(ideal.total.ps, 435'896'003'644);
}

}  // namespace
}  // namespace lodestone
