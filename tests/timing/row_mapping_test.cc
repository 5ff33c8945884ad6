#include "timing/row_mapping.h"

#include <gtest/gtest.h>

#include "small_stage.h"

namespace lodestone {
namespace {

using testing::SmallArray;

int64_t At(const OperatorRun& run, Resource resource) { return run.cycles[static_cast<size_t>(resource)]; }

// An RMS norm of 32 values: 4 slices of 8 a row, so that 3 rows leave 3 slices to each of 4 cores.
constexpr RowShape kNorm{.values = 32,
                         .read_bytes = 128,
                         .write_bytes = 128,
                         .constant_bytes = 128,
                         .vector_steps = 32 * 4,
                         .activations = 0,
                         .reduces = true};

TEST(RowMapping, ANormByHand) {
  const OperatorRun run = RunOf(kNorm, SmallArray(), 3, true);
  // 3 slices × (32 B in + 32 B out) and 3 × 32 B of weights: 288 / 16
  EXPECT_EQ(At(run, Resource::kMemory), 18);
  EXPECT_EQ(At(run, Resource::kVector), 3 * 32 / 8);
  EXPECT_EQ(At(run, Resource::kActivationNetwork), 3 * 32 / 8);
  EXPECT_EQ(At(run, Resource::kPartialSumNetwork), 3 * 8 / 4);  // a number of each row, there and back
  EXPECT_EQ(At(run, Resource::kMatrix), 0);
  EXPECT_EQ(At(run, Resource::kStart), 100 + 2 * (2 + 2 * 2));
  EXPECT_EQ(run.TotalCycles(), 18 + 112);
  EXPECT_EQ(run.memory_bytes, 3 * 256 + 128);
  // 3 × 128 B over (2 + 2) / 3 = 1 hop on average, a program to 4 cores, 8 B a row over 3 hops
  EXPECT_EQ(run.network_byte_hops, 3 * 128 + 32 * 4 + 3 * 8 * 3);
  EXPECT_EQ(run.vector_steps, 3 * 128);
}

TEST(RowMapping, AGateUsesTheActivationUnit) {
  constexpr RowShape gate{.values = 64,
                          .read_bytes = 512,
                          .write_bytes = 256,
                          .constant_bytes = 0,
                          .vector_steps = 64 * 5,
                          .activations = 64,
                          .reduces = false};
  const OperatorRun run = RunOf(gate, SmallArray(), 3, true);  // ⌈3 × 8 / 4⌉ = 6 slices a core
  EXPECT_EQ(At(run, Resource::kActivation), 6 * 8 / 4);
  EXPECT_EQ(At(run, Resource::kVector), 6 * 40 / 8);
  EXPECT_EQ(At(run, Resource::kMemory), 6 * (64 + 32) / 16);
  EXPECT_EQ(At(run, Resource::kActivationNetwork), 6 * 64 / 8);
  EXPECT_EQ(At(run, Resource::kStart), 100 + 2 * 2);
  EXPECT_EQ(run.vector_steps, 3 * 64 * (5 + 1));
  ChipSpec slow = testing::SmallChip();
  slow.activation_lanes_per_core.value = 1;
  slow.operator_start_cycles.value = 0;
  slow.activation_network_bytes_per_cycle.value = 16;
  EXPECT_EQ(RunOf(gate, CoreArray::Of(slow, Fidelity::kCalibrated), 3, true).Bound(), Resource::kActivation);
}

// Behind the first operator of a kernel nothing is read from outside: no start, no way but that of a row's number.
TEST(RowMapping, InsideAKernelNothingCrossesTheArray) {
  RowShape inner = kNorm;
  inner.read_bytes = 0;
  const OperatorRun reduces = RunOf(inner, SmallArray(), 3, false);
  EXPECT_EQ(At(reduces, Resource::kStart), 2 * (2 * 2));
  EXPECT_EQ(At(reduces, Resource::kInstructionNetwork), 0);
  EXPECT_EQ(At(reduces, Resource::kActivationNetwork), 0);
  inner.reduces = false;
  EXPECT_EQ(At(RunOf(inner, SmallArray(), 3, false), Resource::kStart), 0);
}

TEST(RowMapping, FractionsOfACycleRoundUp) {
  constexpr RowShape one{.values = 1, .read_bytes = 4, .write_bytes = 4, .constant_bytes = 4, .vector_steps = 4};
  const OperatorRun run = RunOf(one, SmallArray(), 3, true);  // one slice of one value a core
  EXPECT_EQ(At(run, Resource::kMemory), 1);                   // 12 / 16
  EXPECT_EQ(At(run, Resource::kVector), 1);                   // 4 / 8
  EXPECT_EQ(RunOf(one, SmallArray(), 5, true).cycles[1], 2);  // two slices: (16 + 4) / 16
}

}  // namespace
}  // namespace lodestone
