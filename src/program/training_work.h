// How much training asks of an operator beside its forward (program/work.h): the operations and bytes of its backward,
// what a row keeps for it, and how many numbers the optimizer moves.
//
// A backward is that of a program whose activations are floating point. A product has two products behind it (the
// gradients of its input and of its weight), attention two for each of its own and, where scores are not kept, the
// scores once more: 2.5 × its forward (T. Dao, FlashAttention-2, arXiv 2307.08691, section 3.1).
#pragma once

#include <cstdint>
#include <span>

#include "program/program.h"
#include "program/work.h"

namespace lodestone {

// Of whole sequences, each from position 0. Bytes count as WorkOf's, op by op: gradients as floating registers; weights
// read once, and their gradients, 4 bytes each, written as weight_code_bytes beside them.
Work BackwardOf(const Op& op, const Load& load);

// Operations of training, a token, as the field counts them: 6 P + 12 L h s, with P all parameters of the model (A.
// Chowdhery et al., PaLM, arXiv 2204.02311, appendix B), forward and backward; what the causal mask makes needless is
// not discounted, recomputation is not work, and of experts those count that a token picks.
double TrainingFlopsPerToken(const ModelConfig& config, int64_t sequence);

// Weights, norms and biases of one run of the operator, on this device: what the optimizer updates.
int64_t ParametersOf(const Op& op);
int64_t ParametersOf(const Program& program);

// What one run of a segment's operators keeps of each row for its backward: inputs of products, norms and activation
// functions, Q, K, V and the result of attention. A value that several operators read is kept once, and one that was
// only converted from another floating format is the same value.
struct KeptRow {
  int64_t values = 0;       // in the format of the activations
  int64_t statistics = 0;   // f32: the log-sum-exp of every head's row
  int64_t score_heads = 0;  // P is kept, too: so many values a position that the row attends
};
KeptRow KeptOf(std::span<const Op> ops);

// What AdamW (I. Loshchilov and F. Hutter, ICLR 2019) moves and holds of a parameter, bytes. In mixed precision
// (P. Micikevicius et al., ICLR 2018) weights and gradients have two bytes, a master copy and two moments four each.
struct OptimizerBytes {
  int weight = 0, gradient = 0;  // resident, as forward and backward use them
  int states = 0;                // resident: master copy where there is one, two moments
  int moved = 0;                 // of a step: master (or weight) and moments read and written, the gradient read, in
                                 // mixed precision the weight written
};
constexpr OptimizerBytes AdamWBytes(bool mixed_precision) {
  return mixed_precision ? OptimizerBytes{.weight = 2, .gradient = 2, .states = 12, .moved = 2 * 12 + 2 + 2}
                         : OptimizerBytes{.weight = 4, .gradient = 4, .states = 8, .moved = 2 * (4 + 8) + 4};
}

}  // namespace lodestone
