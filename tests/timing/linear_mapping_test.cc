#include "timing/linear_mapping.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "small_stage.h"

namespace lodestone {
namespace {

using testing::SmallArray;

int64_t At(const OperatorRun& run, Resource resource) { return run.cycles[static_cast<size_t>(resource)]; }

// 40 columns (5 slices of 8) × 48 inputs (6 slices), int4 weights with a scale and a bias a column, int8 inputs.
LinearShape HandShape() {
  return {.outputs = 40,
          .inputs = 48,
          .format = MatrixFormat::kInt8,
          .weight_bits = 4,
          .input_bits = 8,
          .input_scale_bytes = 0,
          .column_scale_bytes = 4,
          .column_bias_bytes = 4,
          .output_steps = 3};
}
constexpr LinearMapping kTwoByTwo{.column_groups = 2, .k_parts = 2, .row_groups = 1};

// The fullest core: c = ⌈5 / 2⌉ = 3 slices, 24 columns; k' = 6 / 2 slices, 24 inputs; 3 rows. The sums
// of two slices, 16 columns, end on it.
TEST(LinearMapping, EveryResourceByHand) {
  const OperatorRun run = RunOf(HandShape(), kTwoByTwo, SmallArray(), 3, true);
  EXPECT_EQ(At(run, Resource::kMatrix), 3 * 3 * (24 / 4));
  // 24 columns × 12 B + 16 × (4 + 4) + 3 rows × 24 B × (1 written + 3 read) + 3 × 16 × 4 B out = 896
  EXPECT_EQ(At(run, Resource::kMemory), 896 / 16);
  EXPECT_EQ(At(run, Resource::kActivationNetwork), 3 * 24 / 8);
  EXPECT_EQ(At(run, Resource::kPartialSumNetwork), 3 * 24 * 4 / 4);
  EXPECT_EQ(At(run, Resource::kModelNetwork), 0);
  EXPECT_EQ(At(run, Resource::kVector), 3 * (16 * 3 + 24) / 8);  // and an addition: k has parts
  EXPECT_EQ(At(run, Resource::kActivation), 0);
  EXPECT_EQ(At(run, Resource::kInstructionNetwork), 32 / 16);
  // 100 + 2 × (2 hops across the array + 1 to the second part)
  EXPECT_EQ(At(run, Resource::kStart), 106);
  EXPECT_EQ(run.TotalCycles(), 72 + 106);
  EXPECT_EQ(run.LongestWork(), Resource::kPartialSumNetwork);
  EXPECT_EQ(run.Bound(), Resource::kStart);

  EXPECT_EQ(run.operations[0], 2 * 3 * 40 * 48);
  // weights 40 × (24 + 8); inputs 3 × 48 B, written in 2 groups and read for 5 slices; outputs 3 × 40 × 4 B
  EXPECT_EQ(run.memory_bytes, 1280 + 3 * 48 * 7 + 480);
  // inputs to 2 groups, partial sums over one hop, a program to 4 cores
  EXPECT_EQ(run.network_byte_hops, 3 * 48 * 2 + 480 + 32 * 4);
  EXPECT_EQ(run.vector_steps, 3 * 40 * (3 + 1));
}

// Each resource in turn is made the slowest.
TEST(LinearMapping, EveryResourceBoundsOnce) {
  const auto bound = [](void (*spoil)(ChipSpec&), const LinearMapping& mapping) {
    ChipSpec chip = testing::SmallChip();
    chip.operator_start_cycles.value = 0;
    chip.hop_cycles.value = 0;
    spoil(chip);
    const OperatorRun run = RunOf(HandShape(), mapping, CoreArray::Of(chip, Fidelity::kCalibrated), 3, true);
    return std::pair(run.Bound(), run.TotalCycles());
  };
  using Expected = std::pair<Resource, int64_t>;
  // One input a cycle: 3 × 3 × 24.
  EXPECT_EQ(bound([](ChipSpec& c) { c.int8_ops_per_core_cycle.value = 16; }, kTwoByTwo),
            Expected(Resource::kMatrix, 216));
  EXPECT_EQ(bound([](ChipSpec& c) { c.memory_bytes_per_core_cycle.value = 4; }, kTwoByTwo),
            Expected(Resource::kMemory, 896 / 4));
  EXPECT_EQ(bound(
                [](ChipSpec& c) {
                  c.activation_network_bytes_per_cycle.value = 1;
                  c.partial_sum_network_bytes_per_cycle.value = 8;
                },
                kTwoByTwo),
            Expected(Resource::kActivationNetwork, 3 * 24));
  EXPECT_EQ(bound([](ChipSpec&) {}, kTwoByTwo), Expected(Resource::kPartialSumNetwork, 72));
  EXPECT_EQ(bound([](ChipSpec& c) { c.vector_lanes_per_core.value = 1; }, kTwoByTwo),
            Expected(Resource::kVector, 3 * (16 * 3 + 24)));
  EXPECT_EQ(bound([](ChipSpec& c) { c.operator_program_bytes.value = 3200; }, kTwoByTwo),
            Expected(Resource::kInstructionNetwork, 200));
  EXPECT_EQ(bound([](ChipSpec& c) { c.operator_start_cycles.value = 73; }, kTwoByTwo), Expected(Resource::kStart, 145));
  // Two groups of rows share 24 columns × (24 + 8) B = 768 B and send one another half: 384 / 4.
  EXPECT_EQ(bound([](ChipSpec&) {}, {.column_groups = 2, .k_parts = 1, .row_groups = 2}),
            Expected(Resource::kModelNetwork, 96));
}

TEST(LinearMapping, GroupsOfRowsShareTheirWeights) {
  const LinearMapping mapping{.column_groups = 2, .k_parts = 1, .row_groups = 2};
  const OperatorRun run = RunOf(HandShape(), mapping, SmallArray(), 3, false);
  EXPECT_EQ(At(run, Resource::kMatrix), 2 * 3 * (48 / 4));  // 2 of 3 rows
  // (384 B of its own + 2 × 48 B × (1 + 3) + 2 × 24 × 4 B) / 16
  EXPECT_EQ(At(run, Resource::kMemory), 60);
  EXPECT_EQ(At(run, Resource::kPartialSumNetwork), 0);
  EXPECT_EQ(At(run, Resource::kVector), 2 * 24 * 3 / 8);
  EXPECT_EQ(At(run, Resource::kStart), 2 * (2 + 1));  // not the first of its kernel
  EXPECT_EQ(At(run, Resource::kInstructionNetwork), 0);
  EXPECT_EQ(run.network_byte_hops, 3 * 48 * 2 + 1280);  // every weight goes one hop
}

// Nine rows are three passes of at most four: weights are read, and sent, three times.
TEST(LinearMapping, WeightsAreReadAgainWhenPartialSumsAreFull) {
  const OperatorRun run = RunOf(HandShape(), kTwoByTwo, SmallArray(), 9, true);
  EXPECT_EQ(At(run, Resource::kMemory), (416 * 3 + 9 * 24 * 4 + 9 * 16 * 4) / 16);
  EXPECT_EQ(run.memory_bytes, 1280 * 3 + 9 * 48 * 7 + 9 * 40 * 4);
}

TEST(LinearMapping, TheWiderOperandSetsTheRate) {
  LinearShape shape = HandShape();
  for (const auto& [format, cycles] :
       {std::pair(MatrixFormat::kInt8, 3 * 3 * 6), std::pair(MatrixFormat::kInt4, 3 * 3 * 3),
        std::pair(MatrixFormat::kInt2, 3 * 3 * 2)}) {
    shape.format = format;
    const OperatorRun run = RunOf(shape, kTwoByTwo, SmallArray(), 3, true);
    EXPECT_EQ(At(run, Resource::kMatrix), cycles);
    EXPECT_EQ(run.operations[static_cast<size_t>(format)], 2 * 3 * 40 * 48);
    EXPECT_EQ(run.TotalOperations(), 2 * 3 * 40 * 48);
  }
}

// 2-bit weights and inputs: 24 inputs are 6 bytes, a tile takes 16 of them.
TEST(LinearMapping, TwoBitsTakeHalfTheBytesOfFour) {
  LinearShape shape = HandShape();
  shape.format = MatrixFormat::kInt2;
  shape.weight_bits = shape.input_bits = 2;
  const OperatorRun run = RunOf(shape, kTwoByTwo, SmallArray(), 3, true);
  // 24 × 6 + 16 × 8 + 3 × 6 × 4 + 3 × 16 × 4 = 536, / 16 = 33.5
  EXPECT_EQ(At(run, Resource::kMemory), 34);
  EXPECT_EQ(At(run, Resource::kActivationNetwork), 3);  // 18 / 8
  EXPECT_EQ(SmallArray().EnergyOf(run).matrix.pj, 2 * 3 * 40 * 48 * 1);
}

TEST(LinearMapping, EnergyIsWorkTimesItsPrice) {
  const OperatorRun run = RunOf(HandShape(), kTwoByTwo, SmallArray(), 3, true);
  const EnergyParts energy = SmallArray().EnergyOf(run);
  EXPECT_EQ(energy.matrix.pj, 11520 * 4);
  EXPECT_EQ(energy.memory.pj, (1280 + 1008 + 480) * 3);
  EXPECT_EQ(energy.network.pj, (288 + 480 + 128) * 5);
  EXPECT_EQ(energy.vector.pj, 480 * 7);
  EXPECT_EQ(energy.total().pj, energy.matrix.pj + energy.memory.pj + energy.network.pj + energy.vector.pj);
}

TEST(LinearMapping, CandidatesDealKInDivisorsOfTheCores) {
  std::set<std::string> texts;
  for (const LinearMapping& mapping : LinearMappings(HandShape(), SmallArray(), 3)) texts.insert(ToString(mapping));
  EXPECT_EQ(texts, (std::set<std::string>{"4 groups of output columns", "2 groups of output columns × 2 parts of k",
                                          "1 group of output columns × 4 parts of k"}));
  // One slice of columns and two of inputs leave half of the cores: rows can use them.
  LinearShape small = HandShape();
  small.outputs = 8;
  small.inputs = 16;
  texts.clear();
  for (const LinearMapping& mapping : LinearMappings(small, SmallArray(), 2)) texts.insert(ToString(mapping));
  EXPECT_EQ(texts, (std::set<std::string>{"1 group of output columns", "1 group of output columns × 2 groups of rows",
                                          "1 group of output columns × 2 parts of k",
                                          "1 group of output columns × 2 parts of k × 2 groups of rows"}));
}

TEST(LinearMappingProperty, SlicesSumToTheWholeWeight) {
  std::mt19937 random(21);
  for (int round = 0; round < 200; ++round) {
    ChipSpec chip = testing::SmallChip();
    chip.cores.value = static_cast<double>(1 + random() % 24);
    chip.array_rows.value = 1;
    const CoreArray array = CoreArray::Of(chip, Fidelity::kCalibrated);
    LinearShape shape = HandShape();
    shape.outputs = 1 + random() % 300;
    shape.inputs = 2 * (1 + random() % 150);  // whole bytes of int4
    for (const LinearMapping& mapping : LinearMappings(shape, array, 5)) {
      ASSERT_LE(mapping.cores(), array.cores);
      int64_t sum = 0, most = 0;
      for (int64_t group = 0; group < mapping.column_groups; ++group) {
        for (int64_t part = 0; part < mapping.k_parts; ++part) {
          for (int64_t rows = 0; rows < mapping.row_groups; ++rows) {
            const int64_t bytes = WeightBytesOn(shape, mapping, array, group, part, rows);
            sum += bytes;
            most = std::max(most, bytes);
          }
        }
      }
      const int64_t whole = shape.outputs * (shape.inputs / 2 + 8);
      ASSERT_EQ(sum, whole) << ToString(mapping);
      ASSERT_EQ(most, FullestWeightBytes(shape, mapping, array)) << ToString(mapping);
      ASSERT_GE(most * mapping.cores(), whole);
    }
  }
}

TEST(LinearMappingProperty, AbsurdLoadsSaturate) {
  LinearShape shape = HandShape();
  shape.outputs = shape.inputs = int64_t{1} << 31;
  for (const LinearMapping& mapping : LinearMappings(shape, SmallArray(), 4)) {
    const OperatorRun run = RunOf(shape, mapping, SmallArray(), int64_t{1} << 31, true);
    EXPECT_GT(run.TotalCycles(), int64_t{1} << 50);
    EXPECT_LE(run.TotalCycles(), int64_t{1} << 60);
    for (const int64_t cycles : run.cycles) EXPECT_GE(cycles, 0);
    EXPECT_GE(SmallArray().EnergyOf(run).memory.pj, 0);
  }
}

}  // namespace
}  // namespace lodestone
