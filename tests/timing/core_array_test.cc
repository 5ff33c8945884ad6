#include "timing/core_array.h"

#include <gtest/gtest.h>

#include "small_stage.h"

namespace lodestone {
namespace {

ChipSpec Published() {
  const Result<ApplianceSpec> spec = LoadAppliance("northpole-16");
  LODESTONE_CHECK(spec.ok());
  return spec->card.chip;
}

TEST(CoreArray, NorthPoleIsSixteenBySixteen) {
  const CoreArray array = CoreArray::Of(Published(), Fidelity::kCalibrated);
  EXPECT_EQ(array.rows, 16);
  EXPECT_EQ(array.columns, 16);
  EXPECT_EQ(array.Diameter(), 30);
  EXPECT_EQ(array.Hops(1), 0);
  EXPECT_EQ(array.Hops(16), 15);
  EXPECT_EQ(array.Hops(32), 16);  // along a row, then down
  EXPECT_EQ(array.MeanHops(), 10);
  EXPECT_EQ(array.divisors, (std::vector<int64_t>{1, 2, 4, 8, 16, 32, 64, 128, 256}));
}

// 2048, 4096 and 8192 operations are tiles of 32 columns × 32, 64 and 128 inputs.
TEST(CoreArray, ATileIsTheRateOverItsColumns) {
  const CoreArray array = CoreArray::Of(Published(), Fidelity::kCalibrated);
  EXPECT_EQ(array.VectorLength(MatrixFormat::kInt8), 32);
  EXPECT_EQ(array.VectorLength(MatrixFormat::kInt4), 64);
  EXPECT_EQ(array.VectorLength(MatrixFormat::kInt2), 128);
}

TEST(CoreArray, PartialSumsLimitAPass) {
  const CoreArray array = CoreArray::Of(Published(), Fidelity::kCalibrated);
  EXPECT_EQ(array.WeightPasses(1), 1);
  EXPECT_EQ(array.WeightPasses(128), 1);
  EXPECT_EQ(array.WeightPasses(129), 2);
  EXPECT_EQ(CoreArray::Of(Published(), Fidelity::kIdeal).WeightPasses(1 << 30), 1);
}

TEST(CoreArray, OnlyIntegersHaveAMatrixUnit) {
  EXPECT_EQ(MatrixFormatOf(Code::kInt8), MatrixFormat::kInt8);
  EXPECT_EQ(MatrixFormatOf(Code::kUint8), MatrixFormat::kInt8);
  EXPECT_EQ(MatrixFormatOf(Code::kInt4), MatrixFormat::kInt4);
  EXPECT_EQ(MatrixFormatOf(Code::kUint4), MatrixFormat::kInt4);
  for (const Code code : {Code::kF32, Code::kF16, Code::kBf16}) EXPECT_FALSE(MatrixFormatOf(code).has_value());
}

// The ideal array ignores exactly what IdealIgnores says, and the figures that give no time.
TEST(CoreArray, IdealIgnoresWhatItSays) {
  const Stage stage = testing::SmallStage(testing::SmallProgram("w4a8", true), 0, 6);
  Load load = testing::kHandLoad;
  load.logit_rows = 1;
  load.rows = 20;
  const auto ideal_time = [&](const ApplianceSpec& spec) {
    auto mapped = MakeNorthPoleTiming(spec.card.chip, Fidelity::kIdeal)->Map(stage, {.load = load});
    LODESTONE_CHECK(mapped.ok());
    return (*mapped)->Evaluate(load).time;
  };
  Result<ApplianceSpec> spec = LoadAppliance("northpole-16");
  ASSERT_TRUE(spec.ok());
  spec->card.chip = testing::SmallChip();
  const Time before = ideal_time(*spec);
  int ignored = 0;
  for (const NamedFigure& named : FiguresOf(*spec)) {
    if (!named.name.starts_with("card.chip.") || named.better == Better::kNeither) continue;
    SCOPED_TRACE(named.name);
    ApplianceSpec changed = *spec;
    ASSERT_TRUE(SetFigure(changed, named.name, named.figure.value * 4 + 4).ok());
    const bool gives_time = !named.name.ends_with("_pj");
    if (IdealIgnores(named.name)) {
      ++ignored;
      EXPECT_EQ(ideal_time(changed), before);
    } else if (gives_time && named.name != "card.chip.int2_ops_per_core_cycle" &&
               named.name != "card.chip.int4_ops_per_core_cycle" &&  // w4a8 multiplies in INT8
               named.name != "card.chip.activation_lanes_per_core") {
      EXPECT_LT(ideal_time(changed), before);
    }
  }
  EXPECT_EQ(ignored, 8);
  EXPECT_FALSE(IdealIgnores("host_turnaround_s"));
}

}  // namespace
}  // namespace lodestone
