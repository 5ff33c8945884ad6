// What training costs before it runs: operations by the formulas that the field compares by, and bytes.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "model/config.h"
#include "program/program.h"
#include "program/training_work.h"

namespace lodestone {

// Floating-point operations (a multiplication and an addition are two) of one GPT block, forward, for b sequences of
// s positions and width h with an MLP of 4 h:
//   24 b s h² + 4 b s² h
// of which QKV 6, the output projection 2 and the MLP 16 b s h². What the causal mask makes needless is not discounted.
// Backward is twice that.
double BlockForwardFlops(int64_t hidden, int64_t sequence, int64_t batch);

// Of a forward pass, a token: a third of TrainingFlopsPerToken.
double ForwardFlopsPerToken(const ModelConfig& config, int64_t sequence);

// Of those, what the linear layers of the blocks do in training, which is what sparsity masks: 6 × their weights.
double MaskedFlopsPerToken(const ModelConfig& config);

// Bytes that a training step holds at once.
struct TrainingMemory {
  int64_t parameters = 0;
  int64_t state_bytes = 0;       // 16 a parameter: value, gradient and two moments, f32 each
  int64_t rows = 0;              // tokens of a micro-batch
  int64_t activation_bytes = 0;  // what the tapes (learn/tape.h) keep and compute, f32, and a chunk of logits

  int64_t total() const { return state_bytes + activation_bytes; }
};
// `program` is the whole model as Describe makes it. With `recompute` only the residual stream of every part is kept.
TrainingMemory MemoryOfTraining(const ModelConfig& config, const Program& program, int64_t rows, bool recompute);

// kInfeasible, with the arithmetic, where that is more than `available_bytes`.
Status CheckTrainingMemory(const std::string& name, const TrainingMemory& memory, int64_t available_bytes);

}  // namespace lodestone
