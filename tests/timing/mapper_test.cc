#include "timing/mapper.h"

#include <gtest/gtest.h>

#include <numeric>

#include "small_stage.h"
#include "timing/core_ledger.h"

namespace lodestone {
namespace {

using testing::HandAttend;
using testing::HandLinear;
using testing::HandStage;
using testing::kInt8Static;
using testing::SmallChip;

MappedStage MapOrDie(const Stage& stage, const ChipSpec& chip, const MapDemand& demand = {}) {
  Result<MappedStage> mapped = MapStage(stage, CoreArray::Of(chip, Fidelity::kCalibrated), demand);
  LODESTONE_CHECK(mapped.ok());
  return *std::move(mapped);
}
const MappedLinear& LinearOf(const MappedStage& stage, size_t index) {
  return std::get<MappedLinear>(stage.segments.at(0).at(index).work);
}

TEST(CoreLedger, TheLargestGoesToTheEmptiest) {
  const CoreArray array = testing::SmallArray();
  CoreLedger ledger(array, 10);
  ledger.AddWeights(1, std::vector<int64_t>{3, 2, 1});     // on cores 0, 1, 2
  ledger.AddWeights(1, std::vector<int64_t>{4, 3, 2, 1});  // on cores 3, 2, 1, 0
  for (const CoreBytes& core : ledger.cores()) EXPECT_EQ(core.weights, 4);
  ledger.AddKv(2, std::vector<int64_t>{5, 7, 5, 5});
  EXPECT_EQ(ledger.fullest().total(), 4 + 7 + 10);
  EXPECT_EQ(ledger.fullest().kv, 7);
  EXPECT_EQ(ledger.fullest().buffers, 10);
  ledger.AddToEvery(1);
  EXPECT_EQ(ledger.cores()[0].weights, 5);
}

// 5 slices of columns on 4 cores are 2, 1, 1, 1: the second layer's two lie elsewhere, so that no core has 4.
TEST(Mapper, UnevenSlicesDoNotPileUp) {
  ChipSpec chip = SmallChip();
  chip.partial_sum_network_bytes_per_cycle.value = 1;  // parts of k are dear
  const int slice = 8 * (32 / 2 + 4);                  // bytes of 8 columns of 32 inputs with their scales
  const std::vector<Op> two = {HandLinear(kInt8Static, 40), HandLinear(kInt8Static, 40)};
  MapDemand demand{.load = testing::kHandLoad};
  demand.load.rows = 64;
  const MappedStage mapped = MapOrDie(HandStage(two), chip, demand);
  ASSERT_EQ(ToString(LinearOf(mapped, 0).mapping), "4 groups of output columns");
  EXPECT_EQ(mapped.segments[0][0].weight_bytes, 2 * slice);
  const int64_t buffers = 4 * (40 + 32);  // at most
  EXPECT_GE(mapped.fullest_core_bytes, 3 * slice);
  EXPECT_LT(mapped.fullest_core_bytes, 3 * slice + buffers);
}

// The chosen mapping is the best of all, by enumeration.
TEST(Mapper, TakesTheFastestForItsLoad) {
  const CoreArray array = testing::SmallArray();
  for (const int rows : {1, 3, 40}) {
    const MapDemand demand{.load = {.rows = rows}};
    for (const int n : {8, 40, 64, 200}) {
      for (const int k : {8, 32, 120}) {
        const MappedStage mapped = MapOrDie(HandStage({HandLinear(kInt8Static, n, k)}), SmallChip(), demand);
        const MappedLinear& chosen = LinearOf(mapped, 0);
        const int64_t cycles = RunOf(chosen.shape, chosen.mapping, array, rows, true).TotalCycles();
        const int64_t bytes = FullestWeightBytes(chosen.shape, chosen.mapping, array);
        const std::vector<LinearMapping> all = LinearMappings(chosen.shape, array, rows);
        EXPECT_EQ(mapped.segments[0][0].considered, static_cast<int>(all.size()));
        for (const LinearMapping& other : all) {
          const int64_t other_cycles = RunOf(chosen.shape, other, array, rows, true).TotalCycles();
          const int64_t other_bytes = FullestWeightBytes(chosen.shape, other, array);
          EXPECT_LE(std::tuple(cycles, bytes), std::tuple(other_cycles, other_bytes)) << ToString(other);
          if (std::tuple(cycles, bytes) == std::tuple(other_cycles, other_bytes)) {
            EXPECT_LE(chosen.mapping.k_parts, other.k_parts);
          }
        }
      }
    }
  }
}

// 9 slices of columns × 6 of inputs: by columns alone a core holds 3 × 8 × (24 + 4) = 672 B, with two parts of k 5 × 8
// × 12 B and the scales of 3 × 8 columns = 576 B, the least.
TEST(Mapper, HoldsLessWhereTheFastestDoesNotFit) {
  ChipSpec chip = SmallChip();
  chip.partial_sum_network_bytes_per_cycle.value = 1;
  const Stage stage = HandStage({HandLinear(kInt8Static, 72, 48)});
  const int64_t buffers = (72 * 4 + 48 + 3) / 4;  // registers of one row
  chip.core_memory_bytes.value = static_cast<double>(672 + buffers);
  const MapDemand demand{.load = {.rows = 64}};
  const MappedStage roomy = MapOrDie(stage, chip, demand);
  EXPECT_EQ(LinearOf(roomy, 0).mapping.k_parts, 1);
  EXPECT_EQ(roomy.fullest_core_bytes, 672 + buffers);
  chip.core_memory_bytes.value -= 1;
  const MappedStage tight = MapOrDie(stage, chip, demand);
  EXPECT_EQ(LinearOf(tight, 0).mapping.k_parts, 2);
  EXPECT_EQ(tight.fullest_core_bytes, 576 + buffers);
}

TEST(Mapper, SaysWhatDoesNotFitAndWhatWould) {
  ChipSpec chip = SmallChip();
  chip.core_memory_bytes.value = 1000;
  const MapDemand demand{.load = testing::kHandLoad, .kv_positions = 1000, .rows_per_pass = 1};
  // K and V of 1,000 positions: 500 × 8 B on every core.
  const Result<MappedStage> kv =
      MapStage(HandStage({HandAttend()}), CoreArray::Of(chip, Fidelity::kCalibrated), demand);
  ASSERT_FALSE(kv.ok());
  EXPECT_EQ(kv.error().code, ErrorCode::kInfeasible);
  for (const char* part : {"by hand: ", "1000 B", "KV 3.9 KiB", "attend", "positions would fit, not the 1000"}) {
    EXPECT_NE(kv.error().message.find(part), std::string::npos) << part << ": " << kv.error().message;
  }
  const Result<MappedStage> weights =
      MapStage(HandStage({HandLinear(kInt8Static, 640, 64)}), CoreArray::Of(chip, Fidelity::kCalibrated), demand);
  ASSERT_FALSE(weights.ok());
  for (const char* part : {"linear gate. Its weights", "KV 0 B", "fewer layers a card"}) {
    EXPECT_NE(weights.error().message.find(part), std::string::npos) << part << ": " << weights.error().message;
  }
}

TEST(Mapper, EveryLayerOfAStageTakesRoom) {
  const Stage one = HandStage({HandLinear(kInt8Static), HandAttend()}, {}, 1);
  const Stage three = HandStage({HandLinear(kInt8Static), HandAttend()}, {}, 3);
  const MapDemand demand{.load = testing::kHandLoad, .kv_positions = 64, .rows_per_pass = 4};
  const MappedStage small = MapOrDie(one, SmallChip(), demand), large = MapOrDie(three, SmallChip(), demand);
  const int64_t layer = small.segments[0][0].weight_bytes + small.segments[0][1].kv_bytes;
  EXPECT_EQ(large.fullest_core_bytes - small.fullest_core_bytes, 2 * layer);
}

TEST(MapperProperty, TheFullestCoreHoldsAtLeastTheAverage) {
  for (const char* recipe : {"w8a8", "w4a8", "w4a8c8", "w4a4", "w4a4:g32:static"}) {
    const Stage stage = testing::SmallStage(testing::SmallProgram(recipe, true), 0, 6);
    const Residency whole = ResidencyOf(stage.program);
    for (const int64_t positions : {0, 64, 640}) {
      const MappedStage mapped =
          MapOrDie(stage, SmallChip(), {.load = testing::kHandLoad, .kv_positions = positions, .rows_per_pass = 8});
      const int64_t held = whole.code_bytes + whole.scale_bytes + whole.norm_bias_bytes +
                           positions * (whole.kv_code_bytes_per_token + whole.kv_scale_bytes_per_token) +
                           8 * whole.activation_bytes_per_row;
      EXPECT_GE(4 * mapped.fullest_core_bytes, held) << recipe;
      EXPECT_LE(4 * mapped.fullest_core_bytes, held + held / 2) << recipe;
    }
  }
}

}  // namespace
}  // namespace lodestone
