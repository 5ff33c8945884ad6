#include "timing/attention_mapping.h"

#include <gtest/gtest.h>

#include <random>

#include "small_stage.h"

namespace lodestone {
namespace {

using testing::kHandLoad;
using testing::SmallArray;

int64_t At(const OperatorRun& run, Resource resource) { return run.cycles[static_cast<size_t>(resource)]; }

// 4 query heads on 2 KV heads of 8 values, all int4: a query of a head is 4 B, K and V of a position and head 8 B.
constexpr AttentionShape kShape{.heads = 4,
                                .kv_heads = 2,
                                .head_dim = 8,
                                .score_format = MatrixFormat::kInt4,
                                .value_format = MatrixFormat::kInt4,
                                .query_bytes = 4,
                                .kv_bytes = 8,
                                .constant_bytes = 0,
                                .score_steps = 7};
constexpr AttentionMapping kTwoByTwo{.head_groups = 2, .position_parts = 2};

OperatorRun RunHand(const AttentionShape& shape, const AttentionMapping& mapping, const Load& load) {
  return AttentionRun(shape, mapping, SmallArray(), true).At(load);
}

// 3 rows of one sequence with contexts of 9, 10 and 11: 30 scores a head, 11 positions. A core has one KV head, two
// query heads and every other position.
TEST(AttentionMapping, EveryResourceByHand) {
  const OperatorRun run = RunHand(kShape, kTwoByTwo, kHandLoad);
  // Tiles of 2 parts × 8 positions: one a row; at most ⌊(30 + 3 × 15) / 16⌋ = 4. A tile is one input vector of int4 for
  // Q·K (8 / 8) and one tile of columns for P·V (8 / 8).
  EXPECT_EQ(At(run, Resource::kMatrix), 2 * (4 * 1 + 4 * 1));
  // 6 = ⌊(11 + 1) / 2⌋ positions × 8 B, read twice for 3 × 2 queries at 4 a pass; queries 3 × 4 B written, read for 4
  // tiles; 3 × 8 × 4 B out: 96 + 2 × (12 + 16 + 96) = 344
  EXPECT_EQ(At(run, Resource::kMemory), 22);
  EXPECT_EQ(At(run, Resource::kVector), 2 * (16 * 7 + 3 * 8 * 2) / 8);  // 16 = ⌊(30 + 3) / 2⌋ scores, outputs merged
  EXPECT_EQ(At(run, Resource::kActivation), 2 * 16 / 4);
  EXPECT_EQ(At(run, Resource::kActivationNetwork), 3 * 2 * 4 / 8);
  EXPECT_EQ(At(run, Resource::kPartialSumNetwork), 3 * 2 * (8 * 4 + 4 + 8) / 4);
  EXPECT_EQ(At(run, Resource::kModelNetwork), 0);
  EXPECT_EQ(At(run, Resource::kStart), 100 + 2 * (2 + 3 * 1));
  EXPECT_EQ(run.TotalCycles(), 66 + 110);

  EXPECT_EQ(run.operations[1], 4 * 30 * 4 * 8);
  EXPECT_EQ(run.memory_bytes, 11 * 2 * 8 * 2 + 28 * 4 * 2 + 3 * 8 * 4 * 4);
  EXPECT_EQ(run.network_byte_hops, 12 * (4 * 2 + 44) + 32 * 4);
  EXPECT_EQ(run.vector_steps, 30 * 4 * (7 + 1) + 12 * 16);
}

TEST(AttentionMapping, AHeadOnOneCoreMergesNothing) {
  AttentionShape shape = kShape;
  shape.heads = shape.kv_heads = 4;
  const OperatorRun run = RunHand(shape, {.head_groups = 4, .position_parts = 1}, kHandLoad);
  EXPECT_EQ(At(run, Resource::kPartialSumNetwork), 0);
  EXPECT_EQ(At(run, Resource::kVector), (30 * 7 + 7) / 8);
  EXPECT_EQ(At(run, Resource::kStart), 100 + 2 * 2);
}

TEST(AttentionMapping, AContextOfOneIsWork) {
  const Load one{.rows = 1, .logit_rows = 1, .sequences = 1, .context_sum = 1, .context_max = 1, .kv_tokens_read = 1};
  const OperatorRun run = RunHand(kShape, kTwoByTwo, one);
  EXPECT_EQ(At(run, Resource::kMatrix), 2 * (1 + 1));
  // 8 B of K and V, 2 × (4 B written + 4 B read + 32 B out)
  EXPECT_EQ(At(run, Resource::kMemory), 6);
  EXPECT_EQ(At(run, Resource::kVector), 2 * (7 + 16) / 8 + 1);
}

// INT8 queries and P with INT4 K and V run at the INT8 rate: tiles of 4.
TEST(AttentionMapping, ScoresAndValuesHaveTheirOwnFormats) {
  AttentionShape shape = kShape;
  shape.value_format = MatrixFormat::kInt8;
  const OperatorRun run = RunHand(shape, kTwoByTwo, kHandLoad);
  // P·V in vectors of 4 positions: ⌊(30 + 3 × 7) / 8⌋ = 6
  EXPECT_EQ(At(run, Resource::kMatrix), 2 * (4 * 1 + 6 * 1));
  EXPECT_EQ(run.operations[0], 2 * 30 * 4 * 8);
  EXPECT_EQ(run.operations[1], 2 * 30 * 4 * 8);
}

TEST(AttentionMapping, CandidatesDealHeadsThenPositions) {
  const std::vector<AttentionMapping> mappings = AttentionMappings(kShape, SmallArray());
  ASSERT_EQ(mappings.size(), 2u);
  EXPECT_EQ(ToString(mappings[0]), "1 group of KV heads × 4 parts of the positions");
  EXPECT_EQ(ToString(mappings[1]), "2 groups of KV heads × 2 parts of the positions");
  // Three heads do not divide four cores; one core stays free.
  AttentionShape three = kShape;
  three.heads = three.kv_heads = 3;
  EXPECT_EQ(ToString(AttentionMappings(three, SmallArray()).back()), "3 groups of KV heads × 1 part of the positions");
}

// What the aggregates of a load allow at most is never less than what its rows need, and less than one score or tile a
// row more.
TEST(AttentionMappingProperty, TheBoundCoversEveryWayToShareAContext) {
  std::mt19937 random(31);
  for (int round = 0; round < 500; ++round) {
    const int rows = static_cast<int>(1 + random() % 6);
    Load load{.rows = rows, .logit_rows = rows, .sequences = rows};
    int64_t positions = 0, tiles = 0;
    for (int row = 0; row < rows; ++row) {
      const int64_t context = 1 + random() % 800;
      load.context_sum += context;
      load.context_max = std::max(load.context_max, context);
      positions += (context + 1) / 2;
      tiles += (context + 15) / 16;
    }
    load.kv_tokens_read = load.context_sum;
    const OperatorRun run = RunHand(kShape, kTwoByTwo, load);
    const int64_t matrix = At(run, Resource::kMatrix), activation = At(run, Resource::kActivation);
    ASSERT_GE(matrix, 2 * 2 * tiles);
    ASSERT_LT(matrix, 2 * 2 * (tiles + rows));
    ASSERT_GE(activation, (2 * positions + 3) / 4);
    ASSERT_LE(activation, (2 * (positions + rows - 1) + 3) / 4);
  }
}

TEST(AttentionMappingProperty, KvOnAllCoresIsTheWhole) {
  std::mt19937 random(32);
  for (int round = 0; round < 200; ++round) {
    AttentionShape shape = kShape;
    shape.kv_heads = 1 + random() % 9;
    shape.heads = shape.kv_heads * (1 + random() % 4);
    ChipSpec chip = testing::SmallChip();
    chip.cores.value = static_cast<double>(1 + random() % 24);
    const CoreArray array = CoreArray::Of(chip, Fidelity::kCalibrated);
    const int64_t positions = random() % 10000;
    for (const AttentionMapping& mapping : AttentionMappings(shape, array)) {
      ASSERT_LE(mapping.cores(), array.cores);
      int64_t sum = 0;
      for (int64_t group = 0; group < mapping.head_groups; ++group) {
        for (int64_t part = 0; part < mapping.position_parts; ++part) {
          const int64_t bytes = KvBytesOn(shape, mapping, positions, group, part);
          ASSERT_LE(bytes, KvBytesOn(shape, mapping, positions, 0, 0));
          sum += bytes;
        }
      }
      ASSERT_EQ(sum, positions * shape.kv_heads * shape.kv_bytes);
    }
  }
}

TEST(AttentionMappingProperty, AbsurdContextsSaturate) {
  const Load huge{.rows = 1 << 30,
                  .logit_rows = 1,
                  .sequences = 1,
                  .context_sum = int64_t{1} << 62,
                  .context_max = int64_t{1} << 62,
                  .kv_tokens_read = int64_t{1} << 62};
  const OperatorRun run = RunHand(kShape, kTwoByTwo, huge);
  for (const int64_t cycles : run.cycles) {
    EXPECT_GE(cycles, 0);
    EXPECT_LE(cycles, int64_t{1} << 60);
  }
  EXPECT_GT(run.TotalCycles(), int64_t{1} << 55);
}

}  // namespace
}  // namespace lodestone
