// GPTQ over a whole model, one part at a time, so that never more than a part's matrices are in memory.
#pragma once

#include <cstdint>
#include <span>

#include "base/status.h"
#include "host/thread_pool.h"
#include "learn/quantize_model.h"
#include "model/config.h"
#include "model/recipe.h"
#include "model/weight_source.h"

namespace lodestone {

// Runs `tokens` (at most 32768, cut into sequences of 512 or of the model's positions, each from position 0) through
// one part of the program at a time, in f32: attention, MLP, attention, … A part runs twice: as it is, when the second
// moments of the inputs of its linear layers are taken (layers that read the same register share them), and with its
// quantised weights, whose result is what the next part sees. Activations are not quantised while calibrating. The
// embedding and the output layer, which is int8 in every integer recipe, are rounded to nearest, as matrices in
// floating point are. A damping beyond GPTQ's 1 % is logged.
//
// Memory: f32 weights of one part, k² f32 for each distinct input, and the residual stream of all tokens. Refused: a
// recipe without integer weights, no token, a token beyond the vocabulary.
Status GptqModel(const ModelConfig& config, const Recipe& recipe, const WeightSource& source,
                 std::span<const int32_t> tokens, ThreadPool& threads, QuantizedSink& sink);

}  // namespace lodestone
