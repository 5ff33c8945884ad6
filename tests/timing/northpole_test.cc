#include "timing/northpole.h"

#include <gtest/gtest.h>

#include "small_stage.h"

namespace lodestone {
namespace {

using testing::MapSmall;
using testing::SmallChip;
using testing::SmallProgram;
using testing::SmallStage;

constexpr Format kInt4Static{Code::kInt4, Scales::kStatic, 0};
constexpr Format kInt8Static{Code::kInt8, Scales::kStatic, 0};
constexpr Format kInt4Channel{Code::kInt4, Scales::kChannel, 0};

Norm HandNorm() { return {.in = Reg::kStream, .out = Reg::kNormed, .weight = {}, .bias = {}, .n = 32}; }
Quantize HandQuantize(Format to) { return {.in = Reg::kNormed, .out = Reg::kNormedIn, .to = to, .n = 32, .step = {}}; }
Linear HandLinear(Format input) {
  return {.in = Reg::kNormedIn,
          .out = Reg::kGate,
          .weight = {},
          .bias = {},
          .n = 64,
          .k = 32,
          .weights = kInt4Channel,
          .input = input};
}
Gate HandGate() { return {.gate = Reg::kGate, .out = Reg::kHidden, .up = Reg::kUp, .n = 64}; }
Attend HandAttend() {
  Attend attend{
      .q = Reg::kQIn, .out = Reg::kAttended, .heads = 4, .kv_heads = 2, .head_dim = 8, .probability_step = {}};
  attend.query = attend.kv = kInt4Static;
  attend.probability = {Code::kUint4, Scales::kStatic, 0};
  return attend;
}

Stage HandStage(std::vector<Op> ops, std::vector<uint16_t> fusion, int repeat = 1) {
  Stage stage;
  stage.label = "by hand";
  if (fusion.empty()) fusion.assign(ops.size(), 0);
  stage.program.segments.push_back(
      {.first_layer = 0, .repeat = repeat, .ops = std::move(ops), .fusion = std::move(fusion)});
  return stage;
}

constexpr Load kLoad{
    .rows = 3, .logit_rows = 0, .sequences = 1, .context_sum = 30, .context_max = 11, .kv_tokens_read = 11};

// 1 GHz: a cycle is 1000 ps.
int64_t CyclesOf(const std::vector<OperatorCost>& costs, size_t index) { return costs[index].time.ps / 1000; }

TEST(NorthPoleTiming, NormIsBoundByMemory) {
  // vector 3 rows × 32 values × 4 steps / 8 lanes            = 48
  // memory (3 × (32 × 4 B in + 32 × 4 B out) + 32 × 4 B weight) / 16 B = 896 / 16 = 56
  const auto stage = MapSmall(HandStage({HandNorm()}, {}), Fidelity::kIdeal);
  EXPECT_EQ(stage->Evaluate(kLoad).time.ps, 56'000);
  EXPECT_EQ(stage->Evaluate(kLoad).bound, Bound::kMemory);
  // calibrated: 896 / (16 × 0.5) = 112, + 100 to start
  EXPECT_EQ(MapSmall(HandStage({HandNorm()}, {}), Fidelity::kCalibrated)->Evaluate(kLoad).time.ps, 212'000);
}

TEST(NorthPoleTiming, LinearRunsAtTheRateOfTheWiderOperand) {
  // int4 · int4: matrix 2 × 3 × 64 × 32 / 128 = 96
  //              memory (64 × 16 B codes + 64 × 4 B scales + 3 × 16 B in + 3 × 64 × 4 B out) / 16 = 2096 / 16 = 131
  const auto narrow = MapSmall(HandStage({HandLinear(kInt4Static)}, {}), Fidelity::kIdeal);
  EXPECT_EQ(narrow->Evaluate(kLoad).time.ps, 131'000);
  EXPECT_EQ(narrow->Evaluate(kLoad).bound, Bound::kMemory);
  // int8 · int4: matrix 12,288 / 64 = 192; memory (1024 + 256 + 3 × 32 + 768) / 16 = 134
  const auto wide = MapSmall(HandStage({HandLinear(kInt8Static)}, {}), Fidelity::kIdeal);
  EXPECT_EQ(wide->Evaluate(kLoad).time.ps, 192'000);
  EXPECT_EQ(wide->Evaluate(kLoad).bound, Bound::kMatrix);
}

TEST(NorthPoleTiming, AttentionIsBoundByItsSoftmax) {
  // matrix     4 × 30 positions × 4 heads × 8 / 128               = 30
  // vector     30 × 4 heads × 7 steps / 8 lanes                   = 105
  // activation 30 × 4 exponentials / 4 lanes                      = 30
  // memory     (3 × 16 B Q + 11 tokens × 2 × 2 heads × 4 B + 3 × 32 × 4 B out) / 16 = 608 / 16 = 38
  const auto stage = MapSmall(HandStage({HandAttend()}, {}), Fidelity::kIdeal);
  EXPECT_EQ(stage->Evaluate(kLoad).time.ps, 105'000);
  EXPECT_EQ(stage->Evaluate(kLoad).bound, Bound::kVector);
}

TEST(NorthPoleTiming, ActivationsGoThroughTheirOwnUnit) {
  ChipSpec chip = SmallChip();
  chip.activation_lanes_per_core.value = 1;
  const auto mapped = MakeNorthPoleTiming(chip, Fidelity::kIdeal)->Map(HandStage({HandGate()}, {}));
  ASSERT_TRUE(mapped.ok());
  // activation 3 × 64 / 1 = 192; vector 3 × 64 × 5 / 8 = 120; memory 3 × 3 × 64 × 4 B / 16 = 144
  EXPECT_EQ((*mapped)->Evaluate(kLoad).time.ps, 192'000);
  EXPECT_EQ((*mapped)->Evaluate(kLoad).bound, Bound::kVector);
}

TEST(NorthPoleTiming, AStageIsTheSumOfItsOperatorsAndStarts) {
  const std::vector<Op> ops = {HandNorm(), HandQuantize(kInt8Static), HandLinear(kInt8Static), HandGate(),
                               HandAttend()};
  // norm 56; quantize memory 3 × (128 + 32) / 16 = 30 (vector 3 × 32 × 2 / 8 = 24); linear 192; gate memory 144; attend
  // 105
  const auto ideal = MapSmall(HandStage(ops, {}), Fidelity::kIdeal);
  EXPECT_EQ(ideal->Evaluate(kLoad).time.ps, (56 + 30 + 192 + 144 + 105) * 1000);
  // Every efficiency is one half, every operator starts for 100 cycles.
  const auto calibrated = MapSmall(HandStage(ops, {}), Fidelity::kCalibrated);
  const StageCost cost = calibrated->Evaluate(kLoad);
  EXPECT_EQ(cost.time.ps, (2 * (56 + 30 + 192 + 144 + 105) + 5 * 100) * 1000);
  EXPECT_EQ(cost.bound, Bound::kOverhead);  // 500 of 1554; memory has 460, matrix 384, vector 210
  const std::vector<OperatorCost> parts = calibrated->Explain(kLoad);
  ASSERT_EQ(parts.size(), 5u);
  EXPECT_STREQ(parts[2].op, "linear");
  EXPECT_EQ(CyclesOf(parts, 2), 2 * 192 + 100);
  EXPECT_EQ(parts[2].bound, Bound::kMatrix);
  EXPECT_EQ(parts[1].bound, Bound::kOverhead);  // 60 of 160
}

TEST(NorthPoleTiming, FractionsOfACycleRoundUp) {
  Norm norm = HandNorm();
  norm.n = 1;  // memory (3 × 8 + 4) / 16 = 1.75; vector 3 × 4 / 8 = 1.5
  EXPECT_EQ(MapSmall(HandStage({norm}, {}), Fidelity::kIdeal)->Evaluate(kLoad).time.ps, 2'000);
}

TEST(NorthPoleTiming, FusedOperatorsShareAStartAndMoveNoInnerBytes) {
  const Stage stage = HandStage({HandNorm(), HandQuantize(kInt8Static), HandLinear(kInt8Static)}, {1, 1, 0});
  // norm     vector 48; memory (3 × 128 in + 128 weight) / 16 = 32
  // quantize vector 24; memory 3 × 32 out / 16 = 6
  EXPECT_EQ(MapSmall(stage, Fidelity::kIdeal)->Evaluate(kLoad).time.ps, (48 + 24 + 192) * 1000);
  const std::vector<OperatorCost> parts = MapSmall(stage, Fidelity::kCalibrated)->Explain(kLoad);
  EXPECT_EQ(CyclesOf(parts, 0), 2 * 48 + 100);
  EXPECT_EQ(CyclesOf(parts, 1), 2 * 24);
  EXPECT_EQ(CyclesOf(parts, 2), 2 * 192 + 100);
}

TEST(NorthPoleTiming, RepeatedLayersCountEach) {
  const auto once = MapSmall(HandStage({HandNorm(), HandGate()}, {}), Fidelity::kCalibrated);
  const auto thrice = MapSmall(HandStage({HandNorm(), HandGate()}, {}, 3), Fidelity::kCalibrated);
  EXPECT_EQ(thrice->Evaluate(kLoad).time.ps, 3 * once->Evaluate(kLoad).time.ps);
  EXPECT_EQ(thrice->Explain(kLoad)[1].count, 3);
  EXPECT_EQ(thrice->Explain(kLoad)[1].time.ps, 3 * once->Explain(kLoad)[1].time.ps);
}

TEST(NorthPoleTiming, EmbeddingAndCollectivesTakeNoCardTime) {
  const Stage stage =
      HandStage({Embed{.out = Reg::kStream, .table = {}, .positions = {}, .n = 32, .vocab = 80, .stream = Code::kBf16},
                 Collective{.reg = Reg::kGate, .n = 64, .of = 2}},
                {});
  EXPECT_EQ(MapSmall(stage, Fidelity::kCalibrated)->Evaluate(kLoad).time.ps, 0);
}

TEST(NorthPoleTiming, AnEmptyPassTakesNoTime) {
  const auto stage = MapSmall(HandStage({HandNorm()}, {}), Fidelity::kCalibrated);
  EXPECT_EQ(stage->Evaluate(Load{}).time.ps, 0);
  EXPECT_EQ(stage->Explain(Load{})[0].time.ps, 0);
}

TEST(NorthPoleTiming, TheOutputLayerStartsOnlyWhereLogitsAreWanted) {
  const Program program = SmallProgram("w4a8:static", false);
  const Stage output = SmallStage(program, 5, 6);
  ASSERT_TRUE(output.has_output);
  const auto stage = MapSmall(output, Fidelity::kCalibrated);
  Load load = kLoad;
  const std::vector<OperatorCost> without = stage->Explain(load);
  EXPECT_EQ(without.back().time.ps, 0);
  load.logit_rows = 2;
  // int8 · int8, 80 × 32: matrix 2 × 2 × 80 × 32 / 32 = 320;
  // memory (80 × 32 + 80 × 4 + 2 × 32 in + 2 × 80 × 4 out) / 8 = 3584 / 8 = 448; + 100
  EXPECT_EQ(CyclesOf(stage->Explain(load), without.size() - 1), 448 + 100);
}

TEST(NorthPoleTiming, LinksCarryTheStreamAndTheLogits) {
  const Program program = SmallProgram("w4a4", true);
  Load load = kLoad;
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
    const auto mapped = MakeNorthPoleTiming(SmallChip(), Fidelity::kCalibrated)->Map(SmallStage(program, 0, 3));
    ASSERT_FALSE(mapped.ok()) << recipe;
    EXPECT_EQ(mapped.error().code, ErrorCode::kInfeasible);
    EXPECT_NE(mapped.error().message.find("layer 0"), std::string::npos) << mapped.error().message;
    EXPECT_NE(mapped.error().message.find("int8, int4 and int2"), std::string::npos) << mapped.error().message;
  }
  for (const char* recipe : {"w8a8", "w4a8", "w4a8c8", "w4a4", "w4a4:g32:static"}) {
    const Program program = SmallProgram(recipe, true);
    const auto mapped = MakeNorthPoleTiming(SmallChip(), Fidelity::kCalibrated)->Map(SmallStage(program, 0, 6));
    EXPECT_TRUE(mapped.ok()) << recipe;
  }
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

}  // namespace
}  // namespace lodestone
