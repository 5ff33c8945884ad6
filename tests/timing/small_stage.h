// A chip of round numbers and a layer small enough to be timed by hand.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "hardware/hardware.h"
#include "timing/northpole.h"

namespace lodestone::testing {

// 2 × 2 cores at 1 GHz: a cycle is 1,000 ps. A core and cycle: tiles of 8 columns × 4 INT8, 8 INT4 or 16 INT2 inputs,
// 16 bytes of memory, 8 vector and 4 activation values; 8, 4, 4 and 16 bytes over the networks of activations, partial
// sums, weights and instructions. An operator starts for 100 cycles with a program of 32 bytes; a hop takes 2.
inline ChipSpec SmallChip() {
  ChipSpec chip;
  chip.cores.value = 4;
  chip.array_rows.value = 2;
  chip.core_memory_bytes.value = 1 << 20;
  chip.framebuffer_bytes.value = 1 << 16;
  chip.clock_hz.value = 1e9;
  chip.int8_ops_per_core_cycle.value = 64;
  chip.int4_ops_per_core_cycle.value = 128;
  chip.int2_ops_per_core_cycle.value = 256;
  chip.memory_bytes_per_core_cycle.value = 16;
  chip.vector_lanes_per_core.value = 8;
  chip.activation_lanes_per_core.value = 4;
  chip.transistors.value = 1e6;
  chip.matrix_columns.value = 8;
  chip.partial_sum_rows.value = 4;
  chip.activation_network_bytes_per_cycle.value = 8;
  chip.partial_sum_network_bytes_per_cycle.value = 4;
  chip.model_network_bytes_per_cycle.value = 4;
  chip.instruction_network_bytes_per_cycle.value = 16;
  chip.operator_program_bytes.value = 32;
  chip.hop_cycles.value = 2;
  chip.operator_start_cycles.value = 100;
  chip.int8_op_pj.value = 4;
  chip.int4_op_pj.value = 2;
  chip.int2_op_pj.value = 1;
  chip.memory_byte_pj.value = 3;
  chip.network_byte_hop_pj.value = 5;
  chip.vector_op_pj.value = 7;
  return chip;
}

inline CoreArray SmallArray() { return CoreArray::Of(SmallChip(), Fidelity::kCalibrated); }

inline ModelConfig SmallModel() {
  ModelConfig config;
  config.name = "small";
  config.layers = 2;
  config.hidden = 32;
  config.ffn = 64;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 8;
  config.vocab = 80;
  config.max_positions = 128;
  config.rope.rotary_dim = 8;
  config.attention_scale = 0.35;
  return config;
}

inline Program SmallProgram(const std::string& recipe, bool fused) {
  const Result<Recipe> parsed = ParseRecipe(recipe);
  LODESTONE_CHECK(parsed.ok());
  Result<Program> program = Describe(SmallModel(), *parsed);
  LODESTONE_CHECK(program.ok());
  return fused ? Fuse(*std::move(program)) : *std::move(program);
}

inline Stage SmallStage(const Program& program, int begin, int end) {
  Result<Stage> stage = MakeStage(program, begin, end);
  LODESTONE_CHECK(stage.ok());
  return *std::move(stage);
}

inline std::unique_ptr<StageTiming> MapSmall(const Stage& stage, Fidelity fidelity = Fidelity::kCalibrated,
                                             const MapDemand& demand = {}) {
  Result<std::unique_ptr<StageTiming>> mapped = MakeNorthPoleTiming(SmallChip(), fidelity)->Map(stage, demand);
  LODESTONE_CHECK(mapped.ok());
  return *std::move(mapped);
}

inline constexpr Format kInt4Static{Code::kInt4, Scales::kStatic, 0};
inline constexpr Format kInt8Static{Code::kInt8, Scales::kStatic, 0};
inline constexpr Format kInt4Channel{Code::kInt4, Scales::kChannel, 0};

inline Norm HandNorm() { return {.in = Reg::kStream, .out = Reg::kNormed, .weight = {}, .bias = {}, .n = 32}; }
inline Quantize HandQuantize(Format to) {
  return {.in = Reg::kNormed, .out = Reg::kNormedIn, .to = to, .n = 32, .step = {}};
}
inline Linear HandLinear(Format input, int n = 64, int k = 32) {
  return {.in = Reg::kNormedIn,
          .out = Reg::kGate,
          .weight = {},
          .bias = {},
          .n = n,
          .k = k,
          .weights = kInt4Channel,
          .input = input};
}
inline Gate HandGate() { return {.gate = Reg::kGate, .out = Reg::kHidden, .up = Reg::kUp, .n = 64}; }
inline Attend HandAttend() {
  Attend attend{
      .q = Reg::kQIn, .out = Reg::kAttended, .heads = 4, .kv_heads = 2, .head_dim = 8, .probability_step = {}};
  attend.query = attend.kv = kInt4Static;
  attend.probability = {Code::kUint4, Scales::kStatic, 0};
  return attend;
}

inline Stage HandStage(std::vector<Op> ops, std::vector<uint16_t> fusion = {}, int repeat = 1) {
  Stage stage;
  stage.label = "by hand";
  if (fusion.empty()) fusion.assign(ops.size(), 0);
  stage.program.segments.push_back(
      {.first_layer = 0, .repeat = repeat, .ops = std::move(ops), .fusion = std::move(fusion)});
  return stage;
}

inline constexpr Load kHandLoad{
    .rows = 3, .logit_rows = 0, .sequences = 1, .context_sum = 30, .context_max = 11, .kv_tokens_read = 11};

}  // namespace lodestone::testing
