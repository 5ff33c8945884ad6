// A chip of round numbers and a layer small enough to be timed by hand.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "hardware/hardware.h"
#include "timing/northpole.h"

namespace lodestone::testing {

// One core a cycle: 64 INT8, 128 INT4, 256 INT2 operations, 16 bytes, 8 vector and 4 activation values; 1 GHz.
inline ChipSpec SmallChip() {
  ChipSpec chip;
  chip.cores.value = 1;
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
  chip.matrix_efficiency.value = 0.5;
  chip.memory_efficiency.value = 0.5;
  chip.vector_efficiency.value = 0.5;
  chip.operator_overhead_cycles.value = 100;
  return chip;
}

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

inline std::unique_ptr<StageTiming> MapSmall(const Stage& stage, Fidelity fidelity) {
  Result<std::unique_ptr<StageTiming>> mapped = MakeNorthPoleTiming(SmallChip(), fidelity)->Map(stage);
  LODESTONE_CHECK(mapped.ok());
  return *std::move(mapped);
}

}  // namespace lodestone::testing
