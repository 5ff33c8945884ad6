#include "timing/northpole.h"

#include <gtest/gtest.h>

#include <limits>

#include "small_stage.h"
#include "test_models.h"

namespace lodestone {
namespace {

using testing::HandAttend;
using testing::HandGate;
using testing::HandLinear;
using testing::HandNorm;
using testing::HandQuantize;
using testing::HandStage;
using testing::kHandLoad;
using testing::kInt4Static;
using testing::kInt8Static;
using testing::MapSmall;
using testing::SmallChip;
using testing::SmallProgram;
using testing::SmallStage;

// row_mapping_test.cc and attention_mapping_test.cc have the sums of a norm, 18 + 112, a gate, 48 + 104, and attention,
// 66 + 110. int8 · int4, 64 × 32, 3 rows, on 4 groups of columns: matrix 3 × 2 × 8 = 48; memory (16 × (16 + 4) + 3 × 32
// × 3 + 3 × 16 × 4) / 16 = 50; start 100 + 2 × 2.
constexpr int64_t kNormCycles = 130, kGateCycles = 152, kAttendCycles = 176, kLinearCycles = 154;

MapDemand HandDemand() { return {.load = kHandLoad}; }

TEST(NorthPoleTiming, AStageIsTheSumOfItsOperators) {
  // Reads 128 B, writes 32 a row: memory 3 × 40 / 16 = 8, vector 3 × 16 / 8 = 6, network 3 × 32 / 8 = 12; 104 to start.
  constexpr int64_t kQuantizeCycles = 116;
  const Stage stage =
      HandStage({HandNorm(), HandQuantize(kInt8Static), HandLinear(kInt8Static), HandGate(), HandAttend()});
  const auto timing = MapSmall(stage, Fidelity::kCalibrated, HandDemand());
  const std::vector<OperatorCost> parts = timing->Explain(kHandLoad);
  ASSERT_EQ(parts.size(), 5u);
  EXPECT_EQ(parts[0].total_cycles, kNormCycles);
  EXPECT_EQ(parts[1].total_cycles, kQuantizeCycles);
  EXPECT_EQ(parts[2].total_cycles, kLinearCycles);
  EXPECT_EQ(parts[3].total_cycles, kGateCycles);
  EXPECT_EQ(parts[4].total_cycles, kAttendCycles);
  const StageCost& cost = timing->Evaluate(kHandLoad);
  EXPECT_EQ(cost.time.ps, (kNormCycles + kQuantizeCycles + kLinearCycles + kGateCycles + kAttendCycles) * 1000);
  EXPECT_EQ(cost.bound, Resource::kStart);
  EXPECT_TRUE(cost.sections.empty());
  EXPECT_STREQ(parts[2].op, "linear");
  EXPECT_EQ(parts[2].weight, "gate");
  EXPECT_EQ(parts[2].bound, Resource::kStart);
  EXPECT_EQ(parts[2].operations, 2 * 3 * 64 * 32);
}

// norm memory 18; linear with two parts of k, now free, matrix 3 × 4 × 4 = 48; gate memory 36; attention vector 40.
TEST(NorthPoleTiming, IdealIsRatesAlone) {
  const Stage stage = HandStage({HandNorm(), HandLinear(kInt8Static), HandGate(), HandAttend()});
  const auto timing = MapSmall(stage, Fidelity::kIdeal, HandDemand());
  EXPECT_EQ(timing->Evaluate(kHandLoad).time.ps, (18 + 48 + 36 + 40) * 1000);
  EXPECT_EQ(timing->Evaluate(kHandLoad).bound, Resource::kMemory);
}

TEST(NorthPoleTiming, FusedOperatorsShareAStartAndMoveNoInnerBytes) {
  const Stage stage = HandStage({HandNorm(), HandQuantize(kInt8Static), HandLinear(kInt8Static)}, {1, 1, 0});
  const auto parts = MapSmall(stage, Fidelity::kCalibrated, HandDemand())->Explain(kHandLoad);
  // norm reads 128 B a row and writes nothing: memory (3 × 128 + 3 × 128) / 4 / 16 = 12, vector 12, network 12
  EXPECT_EQ(parts[0].total_cycles, 12 + 112);
  // quantize writes 32 B a row: memory 3 × 32 / 4 / 16 = 2, vector 6; no start
  EXPECT_EQ(parts[1].total_cycles, 6);
  EXPECT_EQ(parts[1].bound, Resource::kVector);
  EXPECT_EQ(parts[2].total_cycles, kLinearCycles);
}

TEST(NorthPoleTiming, RepeatedLayersCountEach) {
  const auto once = MapSmall(HandStage({HandNorm(), HandAttend()}), Fidelity::kCalibrated, HandDemand());
  const auto thrice = MapSmall(HandStage({HandNorm(), HandAttend()}, {}, 3), Fidelity::kCalibrated, HandDemand());
  const StageCost one = once->Evaluate(kHandLoad), three = thrice->Evaluate(kHandLoad);
  EXPECT_EQ(three.time.ps, 3 * one.time.ps);
  EXPECT_EQ(three.energy.total().pj, 3 * one.energy.total().pj);
  EXPECT_EQ(thrice->Explain(kHandLoad)[1].count, 3);
  EXPECT_EQ(thrice->Explain(kHandLoad)[1].total_cycles, kAttendCycles);
  EXPECT_EQ(thrice->Explain(kHandLoad)[1].time.ps, 3 * kAttendCycles * 1000);
}

TEST(NorthPoleTiming, TheEmbeddingTakesNoCardTime) {
  const Stage stage = HandStage(
      {Embed{.out = Reg::kStream, .table = {}, .positions = {}, .n = 32, .vocab = 80, .stream = Code::kBf16}});
  const auto timing = MapSmall(stage);
  EXPECT_EQ(timing->Evaluate(kHandLoad).time.ps, 0);
  EXPECT_EQ(timing->Evaluate(kHandLoad).energy.total().pj, 0);
}

// Two layers, each norm | gather | gate | gather | norm: sections n, g, n + n, g, n.
TEST(NorthPoleTiming, GathersEndSections) {
  const Collective hidden{.reg = Reg::kNormed, .n = 32, .of = 2}, up{.reg = Reg::kGate, .n = 64, .of = 2};
  const Stage stage = HandStage({HandNorm(), hidden, HandGate(), up, HandNorm()}, {}, 2);
  const auto timing = MapSmall(stage, Fidelity::kCalibrated, HandDemand());
  const StageCost& cost = timing->Evaluate(kHandLoad);
  ASSERT_EQ(cost.sections.size(), 5u);
  const int64_t cycles[] = {kNormCycles, kGateCycles, 2 * kNormCycles, kGateCycles, kNormCycles};
  const int64_t gathers[] = {3 * 16 * 4, 3 * 32 * 4, 3 * 16 * 4, 3 * 32 * 4, 0};  // f32 halves of 3 rows
  Time sum;
  for (size_t s = 0; s < 5; ++s) {
    EXPECT_EQ(cost.sections[s].time.ps, cycles[s] * 1000) << s;
    EXPECT_EQ(cost.sections[s].gather_bytes, gathers[s]) << s;
    sum += cost.sections[s].time;
  }
  EXPECT_EQ(sum, cost.time);
  // Nothing is left over when a pass is empty, and all is back with the next.
  for (const SectionCost& section : timing->Evaluate(Load{}).sections) {
    EXPECT_EQ(section.time.ps, 0);
    EXPECT_EQ(section.gather_bytes, 0);
  }
  EXPECT_EQ(timing->Evaluate(kHandLoad).sections[3].gather_bytes, 3 * 32 * 4);
  EXPECT_EQ(timing->Evaluate(kHandLoad).time, sum);
}

TEST(NorthPoleTiming, AnEmptyPassTakesNoTime) {
  const auto timing = MapSmall(HandStage({HandNorm(), HandAttend()}));
  EXPECT_GT(timing->Evaluate(kHandLoad).time.ps, 0);
  const StageCost& cost = timing->Evaluate(Load{});
  EXPECT_EQ(cost.time.ps, 0);
  EXPECT_EQ(cost.energy.total().pj, 0);
  EXPECT_EQ(cost.input_bytes + cost.output_bytes, 0);
  for (const OperatorCost& part : timing->Explain(Load{})) EXPECT_EQ(part.time.ps + part.total_cycles, 0);
}

// Cycles do not depend on the clock; time is cycles / clock, rounded once.
TEST(NorthPoleTiming, TheClockScalesTime) {
  const Stage stage = SmallStage(SmallProgram("w4a4", true), 0, 3);
  const int64_t cycles = MapSmall(stage)->Evaluate(kHandLoad).time.ps / 1000;
  for (const double hz : {25e6, 100e6, 380e6, 400e6, 425e6}) {
    ChipSpec chip = SmallChip();
    chip.clock_hz.value = hz;
    const auto mapped = MakeNorthPoleTiming(chip, Fidelity::kCalibrated)->Map(stage, {});
    ASSERT_TRUE(mapped.ok());
    EXPECT_EQ((*mapped)->Evaluate(kHandLoad).time.ps,
              static_cast<int64_t>(static_cast<double>(cycles) * 1e12 / hz + 0.5));
  }
}

TEST(NorthPoleTiming, AbsurdLoadsSaturate) {
  const auto timing = MapSmall(SmallStage(SmallProgram("w4a4", true), 0, 6));
  Load load{.rows = std::numeric_limits<int>::max(),
            .logit_rows = std::numeric_limits<int>::max(),
            .sequences = 1,
            .context_sum = std::numeric_limits<int64_t>::max(),
            .context_max = std::numeric_limits<int64_t>::max(),
            .kv_tokens_read = std::numeric_limits<int64_t>::max()};
  const StageCost& cost = timing->Evaluate(load);
  EXPECT_EQ(cost.time.ps, 4'000'000'000'000'000'000);
  EXPECT_GT(cost.energy.matrix.pj, 0);
  EXPECT_GT(cost.energy.total().pj, 0);
  EXPECT_GT(cost.output_bytes, 0);
}

TEST(NorthPoleTiming, TheOutputLayerStartsOnlyWhereLogitsAreWanted) {
  const Stage output = SmallStage(SmallProgram("w4a8:static", false), 5, 6);
  ASSERT_TRUE(output.has_output);
  Load load = kHandLoad;
  MapDemand demand{.load = load};
  demand.load.logit_rows = 2;
  const auto timing = MapSmall(output, Fidelity::kCalibrated, demand);
  EXPECT_EQ(timing->Explain(load).back().total_cycles, 0);
  const Time without = timing->Evaluate(load).time;
  load.logit_rows = 2;
  // int8 · int8, 80 × 32: two parts of k leave 5 slices of columns and 2 of inputs to a core; the sums of 3 slices end
  // there. matrix 2 × 5 × 16 / 4 = 40; memory (40 × 16 + 24 × 4 + 2 × 16 × 6 + 2 × 24 × 4) / 16 = 70; partial sums 2 ×
  // 40 × 4 / 4 = 80; 106 to start. By columns alone as long, memory (24 × 36 + 2 × 32 × 4 + 2 × 24 × 4) / 16 = 82 and
  // 104, but 864 B on the fullest core where this has 736.
  EXPECT_EQ(timing->Explain(load).back().total_cycles, 80 + 106);
  EXPECT_EQ((timing->Evaluate(load).time - without).ps, (80 + 106) * 1000);
  EXPECT_EQ(timing->Mapping().operators.back().weight_bytes, 736);
  EXPECT_EQ(timing->Explain(load).back().weight, "output");
}

TEST(NorthPoleTiming, LinksCarryTheStreamAndTheLogits) {
  const Program program = SmallProgram("w4a4", true);
  Load load = kHandLoad;
  load.logit_rows = 2;
  const auto layer = MapSmall(SmallStage(program, 0, 3), Fidelity::kIdeal)->Evaluate(load);
  EXPECT_EQ(layer.input_bytes, 3 * 32 * 2);  // bf16, from the host's lookup
  EXPECT_EQ(layer.output_bytes, 3 * 32 * 2);
  const auto attention = MapSmall(SmallStage(program, 3, 4), Fidelity::kIdeal)->Evaluate(load);
  EXPECT_EQ(attention.output_bytes, 3 * 32 * 2);
  const auto output = MapSmall(SmallStage(program, 5, 6), Fidelity::kIdeal)->Evaluate(load);
  EXPECT_EQ(output.input_bytes, 3 * 32 * 2);
  EXPECT_EQ(output.output_bytes, 2 * 80 * 4);  // f32
  const Result<Stage> shard = MakeStage(program, 5, 6, 1, 2);
  ASSERT_TRUE(shard.ok());
  EXPECT_EQ(MapSmall(*shard, Fidelity::kIdeal)->Evaluate(load).output_bytes, 2 * 32 * 4);  // 48 + 32 columns
}

TEST(NorthPoleTiming, RefusesFormatsWithoutAUnit) {
  for (const char* recipe : {"f32", "bf16", "w4a16"}) {
    const Program program = SmallProgram(recipe, true);
    const auto mapped = MakeNorthPoleTiming(SmallChip(), Fidelity::kCalibrated)->Map(SmallStage(program, 0, 3), {});
    ASSERT_FALSE(mapped.ok()) << recipe;
    EXPECT_EQ(mapped.error().code, ErrorCode::kInfeasible);
    EXPECT_NE(mapped.error().message.find("layer 0"), std::string::npos) << mapped.error().message;
    EXPECT_NE(mapped.error().message.find("int8, int4 and int2"), std::string::npos) << mapped.error().message;
  }
  for (const char* recipe : {"w8a8", "w4a8", "w4a8c8", "w4a4", "w4a4:g32:static"}) {
    const Program program = SmallProgram(recipe, true);
    const auto mapped = MakeNorthPoleTiming(SmallChip(), Fidelity::kCalibrated)->Map(SmallStage(program, 0, 6), {});
    EXPECT_TRUE(mapped.ok()) << recipe;
  }
}

TEST(NorthPoleTiming, RefusesWhatOtherMachinesHave) {
  const auto message = [](const Program& program) {
    const auto mapped = MakeNorthPoleTiming(SmallChip(), Fidelity::kCalibrated)->Map(*MakeStage(program, 1, 3), {});
    EXPECT_FALSE(mapped.ok());
    return mapped.ok() ? "" : mapped.error().message;
  };
  EXPECT_NE(message(*Describe(testing::TinyMixtral(), *ParseRecipe("w4a8"))).find("layer 0: 4 experts"),
            std::string::npos);
  Program sparse = *Describe(testing::TinyLlama(), *ParseRecipe("w4a8")), exits = sparse;
  for (Op& op : sparse.segments[1].ops) {
    if (auto* linear = std::get_if<Linear>(&op)) linear->sparsity = {Sparsity::Pattern::kUnstructured, 0.5};
  }
  EXPECT_NE(message(sparse).find("sparse products are not modelled"), std::string::npos);
  exits.segments[1].exited = 3;
  EXPECT_NE(message(exits).find("early exit is not modelled"), std::string::npos);
}

TEST(NorthPoleTiming, HugeLoadsSaturateInsteadOfWrapping) {
  const Load huge{.rows = 1 << 30,
                  .logit_rows = 1 << 30,
                  .sequences = 1,
                  .context_sum = int64_t{1} << 62,
                  .context_max = int64_t{1} << 62,
                  .kv_tokens_read = int64_t{1} << 62};
  const auto stage = MapSmall(SmallStage(SmallProgram("w4a4", true), 0, 6), Fidelity::kCalibrated);
  EXPECT_GT(stage->Evaluate(huge).time.ps, int64_t{1} << 60);
  for (const OperatorCost& cost : stage->Explain(huge)) EXPECT_GE(cost.time.ps, 0) << cost.op;
}

TEST(NorthPoleTiming, TellsHowItIsMapped) {
  const MapDemand demand{.load = kHandLoad, .kv_positions = 128, .rows_per_pass = 4};
  const StageMapping mapping =
      MapSmall(HandStage({HandNorm(), HandLinear(kInt8Static), HandAttend()}), Fidelity::kCalibrated, demand)
          ->Mapping();
  ASSERT_EQ(mapping.operators.size(), 3u);
  EXPECT_EQ(mapping.operators[0].weight_bytes, 32);  // 128 B on 4 cores
  EXPECT_EQ(mapping.operators[1].layout, "4 groups of output columns");
  EXPECT_EQ(mapping.operators[1].weight, "gate");
  EXPECT_EQ(mapping.operators[1].cores, 4);
  EXPECT_EQ(mapping.operators[1].weight_bytes, 16 * (16 + 4));
  EXPECT_EQ(mapping.operators[1].considered, 3);
  EXPECT_EQ(mapping.operators[2].layout, "2 groups of KV heads × 2 parts of the positions");
  EXPECT_EQ(mapping.operators[2].kv_bytes, 64 * 8);
  EXPECT_GE(mapping.fullest_core_bytes, 32 + 320 + 512);
  EXPECT_EQ(mapping.core_memory_bytes, 1 << 20);
}

}  // namespace
}  // namespace lodestone
