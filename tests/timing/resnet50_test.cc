// What the model says of the one other workload whose figures are published: ResNet-50 on one chip at 42,460 frames/s
// and 74 W (Modha et al., Science 382, 2023). Nothing is fitted on its time; int4_op_pj is chosen by its power.
#include <gtest/gtest.h>

#include <limits>

#include "hardware/hardware.h"
#include "timing/linear_mapping.h"

namespace lodestone {
namespace {

// Convolutions as matrix products: pixels of the output × inputs under a kernel × channels, and how many are alike.
struct Convolution {
  int rows, inputs, outputs, count;
};
constexpr Convolution kConvolutions[] = {
    {12544, 147, 64, 1}, {3136, 64, 64, 1},   {3136, 576, 64, 3},  {3136, 64, 256, 4},  {3136, 256, 64, 2},
    {3136, 256, 128, 1}, {784, 1152, 128, 4}, {784, 128, 512, 4},  {784, 512, 128, 3},  {784, 256, 512, 1},
    {784, 512, 256, 1},  {196, 2304, 256, 6}, {196, 256, 1024, 6}, {196, 1024, 256, 5}, {196, 512, 1024, 1},
    {196, 1024, 512, 1}, {49, 4608, 512, 3},  {49, 512, 2048, 3},  {49, 2048, 512, 2},  {49, 1024, 2048, 1},
};
constexpr double kFramesPerS = 42460, kWatts = 74;

TEST(ResNet50, PowerAndWorkAgreeWithThePublished) {
  const Result<ApplianceSpec> spec = LoadAppliance("northpole-16");
  ASSERT_TRUE(spec.ok()) << spec.error().message;
  const CoreArray array = CoreArray::Of(spec->card.chip, Fidelity::kCalibrated);
  int64_t operations = 0, cycles = 0;
  int layers = 0;
  EnergyParts energy;
  for (const Convolution& convolution : kConvolutions) {
    const LinearShape shape{.outputs = convolution.outputs,
                            .inputs = convolution.inputs,
                            .format = MatrixFormat::kInt4,
                            .weight_bits = 4,
                            .input_bits = 4,
                            .input_scale_bytes = 0,
                            .column_scale_bytes = 4,
                            .column_bias_bytes = 4,
                            .output_steps = 3};
    OperatorRun best;
    int64_t fewest = std::numeric_limits<int64_t>::max();
    for (const LinearMapping& mapping : LinearMappings(shape, array, convolution.rows)) {
      const OperatorRun run = RunOf(shape, mapping, array, convolution.rows, true);
      if (run.TotalCycles() >= fewest) continue;
      fewest = run.TotalCycles();
      best = run;
    }
    layers += convolution.count;
    operations += convolution.count * best.TotalOperations();
    cycles += convolution.count * best.cycles[static_cast<size_t>(best.LongestWork())];
    for (int i = 0; i < convolution.count; ++i) energy += array.EnergyOf(best);
  }
  EXPECT_EQ(layers, 53);
  EXPECT_NEAR(static_cast<double>(operations), 8.2e9, 0.1e9);
  EXPECT_NEAR(spec->card.static_power_w.value + energy.total().joules() * kFramesPerS, kWatts, 0.02 * kWatts);
  // Work alone, every layer at INT4: a fifth slower than published.
  const double published = spec->card.chip.clock_hz.value / kFramesPerS;
  EXPECT_NEAR(static_cast<double>(cycles) / published, 1.19, 0.02);
  // Starts as long as the LLM run's cannot be part of it (the note of operator_start_cycles).
  EXPECT_GT(layers * spec->card.chip.operator_start_cycles.value, 5 * published);
}

}  // namespace
}  // namespace lodestone
