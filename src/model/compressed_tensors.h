// A quantised model as other programs read it: a Hugging Face directory in the compressed-tensors layout, which vLLM
// and the transformers library load (github.com/vllm-project/compressed-tensors).
//
//   int4 weights: "pack-quantized". NAME.weight_packed I32 [n][k / 8], code + 8 of input 8 i + j in bits 4 j to 4 j +
//   3;
//                 NAME.weight_scale F32 [n][1], or [n][k / group] with groups; NAME.weight_shape I64 [2]
//   int8 weights: "int-quantized". NAME.weight I8 [n][k], NAME.weight_scale F32 [n][1]; activations int8, dynamic, a
//                 token
//
// What is lost. Codes and channel scales: nothing. Two-level scales become one scale a group, multiplier × scale,
// rounded once to f32; a reader that computes in bf16 rounds every scale to 8 bits on loading. Norms, biases and the
// embedding are bf16, and so is the output layer, which vLLM does not read quantised. Of the activations, int8 alone is
// stated: w4a8 and w4a4 become weights for bf16 activations. Step sizes are dropped.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "model/config.h"
#include "model/packed_checkpoint.h"
#include "model/recipe.h"
#include "model/safetensors_writer.h"

namespace lodestone {

// `recipe` with the output layer in bf16. Refuses what the layout cannot say: weights that are not integers, and
// checkpoints whose tensors are fused or transposed (GPT-2, GPT-NeoX).
Result<Recipe> ExportableRecipe(const ModelConfig& config, const Recipe& recipe);
// The block `quantization_config` of its config.json.
Json CompressedTensorsBlock(const Recipe& recipe);

class CompressedTensorsWriter {
 public:
  // model.safetensors in `directory`. Refuses inputs that are no multiple of 8 and of the group.
  static Result<CompressedTensorsWriter> Create(const std::filesystem::path& directory, const ModelConfig& config,
                                                const StoredTensors& tensors);
  Status Write(const WeightId& id, const PackedMatrix& matrix);
  Status Write(const WeightId& id, std::span<const float> vector);  // step sizes are passed over
  Status Finish();

  int64_t file_bytes() const { return writer_.file_bytes(); }

 private:
  CompressedTensorsWriter(SafetensorsWriter writer, const ModelConfig& config, std::map<std::string, size_t> indices)
      : writer_(std::move(writer)), config_(config), indices_(std::move(indices)) {}

  Status WriteNamed(const std::string& name, std::span<const std::byte> bytes);

  SafetensorsWriter writer_;
  ModelConfig config_;
  std::map<std::string, size_t> indices_;
};

}  // namespace lodestone
