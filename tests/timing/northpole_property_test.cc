#include <gtest/gtest.h>

#include <cmath>
#include <random>

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
    std::uniform_real_distribution<double> share(0.1, 1.0);
    chip.cores.value = static_cast<double>(1 + random() % 7);
    chip.clock_hz.value = 3e8 + static_cast<double>(random() % 100'000'007);
    chip.matrix_efficiency.value = share(random);
    chip.memory_efficiency.value = share(random);
    chip.vector_efficiency.value = share(random);
    chip.operator_overhead_cycles.value = static_cast<double>(random() % 500);
    return chip;
  }
  static Load RandomLoad(std::mt19937& random) {
    Load load;
    load.rows = static_cast<int>(1 + random() % 200);
    load.logit_rows = static_cast<int>(random() % (static_cast<unsigned>(load.rows) + 1));
    load.sequences = 1;
    load.kv_tokens_read = load.rows + random() % 5000;
    load.context_sum = load.rows * static_cast<int64_t>(1 + random() % 4000);
    load.context_max = load.kv_tokens_read;
    return load;
  }
  static std::unique_ptr<StageTiming> Map(const ChipSpec& chip, const Stage& stage, Fidelity fidelity) {
    auto mapped = MakeNorthPoleTiming(chip, fidelity)->Map(stage);
    LODESTONE_CHECK(mapped.ok());
    return *std::move(mapped);
  }
};

TEST_P(NorthPoleTimingProperty, OperatorTimesSumToTheStage) {
  std::mt19937 random(11);
  const Stage stage = SmallStage(SmallProgram(GetParam(), true), 0, 6);
  for (int round = 0; round < 300; ++round) {
    const auto timing = Map(RandomChip(random), stage, round % 2 ? Fidelity::kIdeal : Fidelity::kCalibrated);
    const Load load = RandomLoad(random);
    Time sum;
    for (const OperatorCost& cost : timing->Explain(load)) {
      EXPECT_GE(cost.time.ps, 0);
      sum += cost.time;
    }
    ASSERT_EQ(sum, timing->Evaluate(load).time) << "round " << round;
  }
}

// The affine form agrees with WorkOf asked directly, operator by operator.
TEST_P(NorthPoleTimingProperty, CyclesFollowFromWorkOf) {
  std::mt19937 random(12);
  const Stage stage = SmallStage(SmallProgram(GetParam(), true), 0, 6);
  for (int round = 0; round < 100; ++round) {
    ChipSpec chip = RandomChip(random);
    chip.clock_hz.value = 1e12;  // a cycle is a picosecond
    const auto timing = Map(chip, stage, Fidelity::kIdeal);
    Load load = RandomLoad(random);
    load.logit_rows = std::max(load.logit_rows, 1);
    const std::vector<OperatorCost> costs = timing->Explain(load);
    size_t next = 0;
    const double cores = chip.cores.value;
    for (const Segment& segment : stage.program.segments) {
      for (size_t i = 0; i < segment.ops.size(); ++i, ++next) {
        const Work work = WorkOf(segment, i, load);
        if (work.on_host) continue;
        const double ops = BitsOf(work.matrix_code) == 4 ? 128 : 64;
        const double bytes = static_cast<double>(work.weight_bytes() + work.kv_bytes() + work.activation_read_bytes +
                                                 work.activation_write_bytes);
        double activations = 0;
        if (const auto* gate = std::get_if<Gate>(&segment.ops[i])) activations = double(load.rows) * gate->n;
        if (const auto* attend = std::get_if<Attend>(&segment.ops[i])) {
          activations = double(load.context_sum) * attend->heads;
        }
        const double cycles =
            std::ceil(std::max({static_cast<double>(work.matrix_ops) / (cores * ops), bytes / (cores * 16),
                                static_cast<double>(work.vector_ops) / (cores * 8), activations / (cores * 4)}));
        ASSERT_EQ(costs[next].time.ps, static_cast<int64_t>(cycles) * segment.repeat) << costs[next].op;
      }
    }
  }
}

TEST_P(NorthPoleTimingProperty, MoreWorkNeverTakesLess) {
  std::mt19937 random(13);
  const Stage stage = SmallStage(SmallProgram(GetParam(), true), 0, 6);
  for (int round = 0; round < 300; ++round) {
    const ChipSpec chip = RandomChip(random);
    const auto timing = Map(chip, stage, Fidelity::kCalibrated);
    const Load load = RandomLoad(random);
    const Time time = timing->Evaluate(load).time;
    Load more = load;
    more.rows += static_cast<int>(random() % 50);
    more.logit_rows += static_cast<int>(random() % 50);
    more.context_sum += random() % 5000;
    more.kv_tokens_read += random() % 5000;
    ASSERT_GE(timing->Evaluate(more).time, time);
    ASSERT_LE(Map(chip, stage, Fidelity::kIdeal)->Evaluate(load).time, time);
  }
}

TEST_P(NorthPoleTimingProperty, StagesSumToTheWholeModel) {
  std::mt19937 random(14);
  const Program program = SmallProgram(GetParam(), false);
  for (int round = 0; round < 100; ++round) {
    ChipSpec chip = RandomChip(random);
    chip.clock_hz.value = 1e9;
    const Load load = RandomLoad(random);
    const Time whole = Map(chip, SmallStage(program, 0, 6), Fidelity::kCalibrated)->Evaluate(load).time;
    Time sum;
    for (int part = 0; part < 6; ++part) {
      sum += Map(chip, SmallStage(program, part, part + 1), Fidelity::kCalibrated)->Evaluate(load).time;
    }
    ASSERT_EQ(sum, whole);
  }
}

INSTANTIATE_TEST_SUITE_P(Recipes, NorthPoleTimingProperty,
                         ::testing::Values("w8a8", "w4a8", "w4a8c8", "w4a4", "w4a4:g32:static"));

}  // namespace
}  // namespace lodestone
