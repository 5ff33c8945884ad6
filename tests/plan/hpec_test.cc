// The fitted constant of catalog/hardware/northpole-chip.toml against the run that it was fitted on.
#include <gtest/gtest.h>

#include "hpec_run.h"

namespace lodestone {
namespace {

TEST(HpecRun, CalibratedTimeIsThePublishedOne) {
  const Result<ApplianceSpec> spec = LoadAppliance("northpole-16");
  ASSERT_TRUE(spec.ok()) << spec.error().message;
  const Result<testing::HpecRun> run = testing::RunHpec(*spec, Fidelity::kCalibrated);
  ASSERT_TRUE(run.ok()) << run.error().message;
  EXPECT_NEAR(run->tokens_per_s(), 28356, 0.05 * 28356);
  EXPECT_NEAR(run->total.seconds() / 1024, 0.987e-3, 0.05 * 0.987e-3);
  EXPECT_GT(run->prompt.seconds(), 0);
  EXPECT_LT(run->prompt, run->total);
}

TEST(HpecRun, RatesAloneAreOptimistic) {
  const Result<ApplianceSpec> spec = LoadAppliance("northpole-16");
  ASSERT_TRUE(spec.ok()) << spec.error().message;
  const Result<testing::HpecRun> ideal = testing::RunHpec(*spec, Fidelity::kIdeal);
  ASSERT_TRUE(ideal.ok()) << ideal.error().message;
  EXPECT_GT(ideal->tokens_per_s(), 28356);
}

}  // namespace
}  // namespace lodestone
