#include <gtest/gtest.h>

#include <random>

#include "hardware/figure_fields.h"
#include "small_stage.h"

namespace lodestone {
namespace {

using testing::SmallChip;
using testing::SmallProgram;
using testing::SmallStage;

class NorthPoleTimingProperty : public ::testing::TestWithParam<const char*> {
 protected:
  // A chip of awkward numbers: no rate or clock divides another.
  static ChipSpec RandomChip(std::mt19937& random) {
    ChipSpec chip = SmallChip();
    const auto any = [&](int most) { return static_cast<double>(1 + random() % most); };
    chip.cores.value = any(12);
    chip.array_rows.value = 1;
    chip.clock_hz.value = 3e8 + static_cast<double>(random() % 100'000'007);
    chip.matrix_columns.value = any(20);
    chip.partial_sum_rows.value = any(60);
    chip.int8_ops_per_core_cycle.value = any(300);
    chip.int4_ops_per_core_cycle.value = any(600);
    chip.memory_bytes_per_core_cycle.value = any(40);
    chip.vector_lanes_per_core.value = any(20);
    chip.activation_lanes_per_core.value = any(20);
    chip.activation_network_bytes_per_cycle.value = any(40);
    chip.partial_sum_network_bytes_per_cycle.value = any(40);
    chip.model_network_bytes_per_cycle.value = any(40);
    chip.instruction_network_bytes_per_cycle.value = any(40);
    chip.operator_program_bytes.value = any(400);
    chip.hop_cycles.value = any(4) - 1;
    chip.operator_start_cycles.value = any(500);
    return chip;
  }
  static Load RandomLoad(std::mt19937& random) {
    Load load;
    load.rows = static_cast<int>(1 + random() % 200);
    load.logit_rows = static_cast<int>(random() % (static_cast<unsigned>(load.rows) + 1));
    load.sequences = static_cast<int>(1 + random() % static_cast<unsigned>(load.rows));
    load.kv_tokens_read = load.rows + random() % 5000;
    load.context_sum = load.rows * static_cast<int64_t>(1 + random() % 4000);
    load.context_max = load.kv_tokens_read;
    return load;
  }
  static std::unique_ptr<StageTiming> Map(const ChipSpec& chip, const Stage& stage, Fidelity fidelity,
                                          const Load& design) {
    auto mapped = MakeNorthPoleTiming(chip, fidelity)->Map(stage, {.load = design});
    LODESTONE_CHECK(mapped.ok());
    return *std::move(mapped);
  }
};

TEST_P(NorthPoleTimingProperty, OperatorsSumToTheStage) {
  std::mt19937 random(11);
  const Stage stage = SmallStage(SmallProgram(GetParam(), true), 0, 6);
  for (int round = 0; round < 100; ++round) {
    const Load load = RandomLoad(random);
    const auto timing =
        Map(RandomChip(random), stage, round % 2 ? Fidelity::kIdeal : Fidelity::kCalibrated, RandomLoad(random));
    Time time;
    EnergyParts energy;
    for (const OperatorCost& cost : timing->Explain(load)) {
      int64_t longest = 0;
      for (size_t r = 0; r < static_cast<size_t>(Resource::kStart); ++r) longest = std::max(longest, cost.cycles[r]);
      ASSERT_EQ(cost.total_cycles, longest + cost.cycles[static_cast<size_t>(Resource::kStart)]);
      EXPECT_GE(cost.time.ps, 0);
      time += cost.time;
      energy += cost.energy;
    }
    const StageCost& cost = timing->Evaluate(load);
    ASSERT_EQ(time, cost.time) << "round " << round;
    ASSERT_EQ(energy.matrix, cost.energy.matrix);
    ASSERT_EQ(energy.memory, cost.energy.memory);
    ASSERT_EQ(energy.vector, cost.energy.vector);
    ASSERT_EQ(energy.network, cost.energy.network);
    ASSERT_EQ(cost.energy.total(), energy.total());
  }
}

// What a timing remembers of the last load is never seen in the next.
TEST_P(NorthPoleTimingProperty, EvaluateHasNoMemory) {
  std::mt19937 random(12);
  const Program program = SmallProgram(GetParam(), true);
  Result<Stage> sharded = MakeStage(program, 1, 5, 1, 2);
  ASSERT_TRUE(sharded.ok());
  for (const Stage& stage : {SmallStage(program, 0, 6), *sharded}) {
    const ChipSpec chip = RandomChip(random);
    const Load design = RandomLoad(random);
    const auto used = Map(chip, stage, Fidelity::kCalibrated, design);
    for (int round = 0; round < 60; ++round) {
      Load load = RandomLoad(random);
      if (round % 3 == 1) load.rows = load.sequences = 2;
      if (round % 7 == 6) load = {};
      const StageCost& seen = used->Evaluate(load);
      const auto fresh = Map(chip, stage, Fidelity::kCalibrated, design);
      const StageCost& expected = fresh->Evaluate(load);
      ASSERT_EQ(seen.time, expected.time);
      ASSERT_EQ(seen.bound, expected.bound);
      ASSERT_EQ(seen.input_bytes, expected.input_bytes);
      ASSERT_EQ(seen.output_bytes, expected.output_bytes);
      ASSERT_EQ(seen.energy.total(), expected.energy.total());
      ASSERT_EQ(seen.sections.size(), expected.sections.size());
      Time sum;
      for (size_t s = 0; s < seen.sections.size(); ++s) {
        ASSERT_EQ(seen.sections[s].time, expected.sections[s].time);
        ASSERT_EQ(seen.sections[s].gather_bytes, expected.sections[s].gather_bytes);
        sum += seen.sections[s].time;
      }
      if (!seen.sections.empty()) ASSERT_EQ(sum, seen.time);
    }
  }
}

TEST_P(NorthPoleTimingProperty, MoreWorkNeverTakesLess) {
  std::mt19937 random(13);
  const Stage stage = SmallStage(SmallProgram(GetParam(), true), 0, 6);
  for (int round = 0; round < 100; ++round) {
    const ChipSpec chip = RandomChip(random);
    const auto timing = Map(chip, stage, Fidelity::kCalibrated, RandomLoad(random));
    const Load load = RandomLoad(random);
    const StageCost cost = timing->Evaluate(load);
    Load more = load;
    more.rows += static_cast<int>(random() % 50);
    more.logit_rows += static_cast<int>(random() % 50);
    more.context_sum += random() % 5000;
    more.kv_tokens_read += random() % 5000;
    const StageCost larger = timing->Evaluate(more);
    ASSERT_GE(larger.time, cost.time);
    ASSERT_GE(larger.energy.total(), cost.energy.total());
  }
}

// A better figure never makes the load that the mapping is chosen for slower, and never costs more energy a mapping;
// another load may be slower, where the better chip is mapped otherwise.
TEST_P(NorthPoleTimingProperty, ABetterChipIsNeverSlower) {
  std::mt19937 random(14);
  const Stage stage = SmallStage(SmallProgram(GetParam(), true), 0, 6);
  for (int round = 0; round < 30; ++round) {
    const ChipSpec chip = RandomChip(random);
    const Load load = RandomLoad(random);
    const Fidelity fidelity = round % 2 ? Fidelity::kIdeal : Fidelity::kCalibrated;
    const Time before = Map(chip, stage, fidelity, load)->Evaluate(load).time;
    for (const auto& field : kChipFields) {
      if (field.better == Better::kNeither || field.key.ends_with("_pj")) continue;
      ChipSpec better = chip;
      double& value = (better.*field.member).value;
      value = field.better == Better::kHigh ? value + static_cast<double>(1 + random() % 40)
                                            : std::max(0.0, value - static_cast<double>(1 + random() % 40));
      ASSERT_LE(Map(better, stage, fidelity, load)->Evaluate(load).time, before) << field.key << " round " << round;
    }
    ASSERT_LE(Map(chip, stage, Fidelity::kIdeal, load)->Evaluate(load).time,
              Map(chip, stage, Fidelity::kCalibrated, load)->Evaluate(load).time);
  }
}

TEST_P(NorthPoleTimingProperty, StagesSumToTheWholeModel) {
  std::mt19937 random(15);
  const Program program = SmallProgram(GetParam(), false);
  for (int round = 0; round < 50; ++round) {
    ChipSpec chip = RandomChip(random);
    chip.clock_hz.value = 1e9;
    const Load load = RandomLoad(random), design = RandomLoad(random);
    const StageCost whole = Map(chip, SmallStage(program, 0, 6), Fidelity::kCalibrated, design)->Evaluate(load);
    Time sum;
    EnergyParts energy;
    for (int part = 0; part < 6; ++part) {
      const StageCost cost =
          Map(chip, SmallStage(program, part, part + 1), Fidelity::kCalibrated, design)->Evaluate(load);
      sum += cost.time;
      energy += cost.energy;
    }
    ASSERT_EQ(sum, whole.time);
    ASSERT_EQ(energy.total(), whole.energy.total());
  }
}

// A product of rates bounds the sum: no operator runs above a rate of the whole chip.
TEST_P(NorthPoleTimingProperty, NoUnitIsBusierThanTheRun) {
  std::mt19937 random(16);
  const Stage stage = SmallStage(SmallProgram(GetParam(), true), 0, 6);
  for (int round = 0; round < 100; ++round) {
    const ChipSpec chip = RandomChip(random);
    const auto timing = Map(chip, stage, Fidelity::kIdeal, RandomLoad(random));
    const double cores = chip.cores.value;
    const double fastest = std::max(chip.int8_ops_per_core_cycle.value, chip.int4_ops_per_core_cycle.value);
    for (const OperatorCost& cost : timing->Explain(RandomLoad(random))) {
      const auto cycles = static_cast<double>(cost.total_cycles * cost.count);
      // A matrix unit whose rate is less than two operations a column still takes one input a cycle.
      const double rate = std::max(fastest, 2 * chip.matrix_columns.value);
      ASSERT_LE(static_cast<double>(cost.operations), cycles * cores * rate) << cost.op;
      // What a core writes and reads again is counted by its memory, too.
      ASSERT_LE(static_cast<double>(cost.memory_bytes),
                cycles * cores * chip.memory_bytes_per_core_cycle.value * 1.0001)
          << cost.op;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Recipes, NorthPoleTimingProperty,
                         ::testing::Values("w8a8", "w4a8", "w4a8c8", "w4a4", "w4a4:g32:static"));

}  // namespace
}  // namespace lodestone
