// How much an operator does for a given load: operations and bytes, scales counted and listed apart.
#pragma once

#include <cstddef>
#include <cstdint>

#include "program/program.h"

namespace lodestone {

// What a pass brings to a stage.
struct Load {
  int rows = 0;             // tokens, prefill and decode together
  int logit_rows = 0;       // rows whose logits are wanted
  int sequences = 0;        // sequences that these rows belong to
  int64_t context_sum = 0;  // Σ over rows of positions attended (own position included)
  int64_t context_max = 0;
  int64_t kv_tokens_read = 0;  // Σ over sequences of the longest context among its rows: what is read once a pass

  friend bool operator==(const Load&, const Load&) = default;
};

struct Work {
  int64_t matrix_ops = 0;         // multiply and add count as two
  Code matrix_code = Code::kF32;  // wider of the two operands; meaningless if matrix_ops is 0
  int64_t vector_ops = 0;         // elementwise operations: one a value and step (normalise, rotate, exp, quantise)
  int64_t weight_code_bytes = 0, weight_scale_bytes = 0;  // read once a pass; of experts those that are picked
  int64_t norm_bias_bytes = 0;
  int64_t kv_read_code_bytes = 0, kv_read_scale_bytes = 0;
  int64_t kv_write_code_bytes = 0, kv_write_scale_bytes = 0;
  int64_t activation_read_bytes = 0, activation_write_bytes = 0;
  bool on_host = false;  // the embedding lookup

  int64_t weight_bytes() const { return weight_code_bytes + weight_scale_bytes + norm_bias_bytes; }
  int64_t kv_bytes() const {
    return kv_read_code_bytes + kv_read_scale_bytes + kv_write_code_bytes + kv_write_scale_bytes;
  }
  Work& operator+=(const Work& other);
};

// Every field is affine in (rows, logit_rows, context_sum, kv_tokens_read): weights are the constant, the rest are
// slopes. Three things of estimates are not, and those who count on it refuse them by name:
//   experts        a pass reads those that its rows pick, E (1 − (1 − k/E)^rows) of E, rounded up: each row picks k
//                  independently and evenly. A router's products count as the experts'; what lies between an expert's
//                  matrices is written and read once
//   idle rows s    of a linear layer: 1 − s^rows are read and computed
//   materialised   attention computes rows × context_max scores, the masked ones too; as f32 they are written, masked
//                  in place and read, and P is written and read
// Elementwise steps counted a value: RMSNorm 4, LayerNorm 7, dynamic quantise 3, static 2, to bf16 1, rotate 3, softmax
// 7 a score, SiLU or GELU 4 and 1 for the product, residual addition 2, scales of an integer matmul 2, bias 1.
Work WorkOf(const Op& op, const Load& load);
// Operator `index` of a segment, run once: bytes that stay inside its fused kernel are not counted.
Work WorkOf(const Segment& segment, size_t index, const Load& load);
Work WorkOf(const Program& program, const Load& load);  // Σ over segments × repeat, fusion counted

// Bytes that stay resident for a program: what a card's memory ledger lists.
struct Residency {
  int64_t code_bytes = 0, scale_bytes = 0, norm_bias_bytes = 0;
  int64_t kv_code_bytes_per_token = 0, kv_scale_bytes_per_token = 0;
  int64_t host_bytes = 0;                // embedding tables
  int64_t activation_bytes_per_row = 0;  // largest sum of registers alive at once
};
Residency ResidencyOf(const Program& program);

}  // namespace lodestone
