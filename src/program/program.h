// What a transformer does, as a short list of operators with shapes and formats: the one description of a layer.
//
// Three readers share it: executors compute it, timings time it, the trainer differentiates it. Operators read and
// write registers, one row a token; a register is written once before it is read within a layer, except the residual
// stream, which operators update in place and which alone survives from layer to layer and from card to card.
//
//   letters: h hidden, f ffn, d head_dim, H query heads, G KV heads, V vocabulary
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/status.h"
#include "model/config.h"
#include "model/recipe.h"
#include "model/weight_source.h"
#include "numerics/format.h"

namespace lodestone {

enum class Reg : uint8_t {
  kStream,      // [h] the residual stream
  kNormed,      // [h] after a norm
  kNormedIn,    // [h] the same in the format of a linear layer's input
  kQ,           // [H d]
  kK,           // [G d]
  kV,           // [G d]
  kQIn,         // [H d] Q in attention's format
  kAttended,    // [H d]
  kAttendedIn,  // [H d] in a linear layer's format
  kProjected,   // [h] what the residual stream gains from attention
  kGate,        // [f]
  kUp,          // [f]
  kHidden,      // [f] act(gate) × up
  kHiddenIn,    // [f] in a linear layer's format
  kMlpOut,      // [h] what the residual stream gains from the MLP
  kLogits,      // [V]
  kCount
};
const char* ToString(Reg reg);

// A tensor of the model, or the rows of it that a shard owns.
struct WeightRef {
  WeightKind kind = WeightKind::kEmbedding;
  int first_row = 0;  // of the whole tensor; a shard's linear layer owns rows [first_row, first_row + n)
  int total = 0;      // rows of the whole tensor where this is a part of it; 0: this is all

  friend bool operator==(const WeightRef&, const WeightRef&) = default;
};

// stream = multiplier × table[token] (+ positions[position]), a lookup on the host in `table`'s format.
struct Embed {
  Reg out = Reg::kStream;
  WeightRef table;
  std::optional<WeightRef> positions;
  float multiplier = 1;
  int n = 0;
  int64_t vocab = 0, max_positions = 0;
  Code code = Code::kF32;    // of the tables
  Code stream = Code::kF32;  // of the result
};

// Normalises each of `groups` consecutive runs of n values (1 run of h; or one run a head, sharing the weight).
struct Norm {
  Reg in, out;
  NormKind kind = NormKind::kRms;
  WeightRef weight;
  std::optional<WeightRef> bias;
  float eps = 1e-5f;
  int n = 0, groups = 1;
};

// Into `to`. Explicit, so that the trainer reads it as LSQ. For kHead scales the row is `heads` runs of n / heads
// values.
struct Quantize {
  Reg in, out;
  Format to;
  int n = 0, heads = 1;
  std::optional<WeightRef> step;  // the step size, where scales are static
};

// Weights that are zero and not stored. Estimates and plans alone: executors refuse them by name.
struct Sparsity {
  enum class Pattern : uint8_t {
    kNone,
    kUnstructured,  // any weight; a bit a weight says which are kept. Every product is computed
    kTwoOfFour,     // two of four neighbours (A. Mishra et al., arXiv 2104.08378); two bits a kept weight. Units that
                    // know the pattern compute it faster, others as if dense
    kTiles,         // blocks of kTile × kTile, a bit a block; what is not stored is not computed
  };
  static constexpr int kTile = 32;
  Pattern pattern = Pattern::kNone;
  double level = 0;  // zeros / weights

  friend bool operator==(const Sparsity&, const Sparsity&) = default;
};

// out[n] = multiplier × (weight[n][k] · in[k]) + bias.
struct Linear {
  Reg in, out;
  WeightRef weight;
  std::optional<WeightRef> bias;
  int n = 0, k = 0;
  Format weights, input;
  float multiplier = 1;
  bool last_rows_only = false;  // the output layer: computed for rows whose logits are wanted
  Sparsity sparsity;
  double idle =
      0;  // share of its outputs, or inputs, that a row does not need (activation sparsity, by estimates alone)
};

// Rotates the heads of `x` in place by the row's position.
struct Rotate {
  Reg x;
  Rope rope;
  int heads = 0, head_dim = 0;
};

// Appends the row's K and V to the KV pages of its sequence, a head at a time, in `format`.
struct StoreKv {
  Reg k, v;
  int kv_heads = 0, head_dim = 0;
  Format format;
  std::optional<WeightRef> key_step, value_step;  // where scales are static
};

// Softmax attention over the sequence's positions up to the row's own, read back as they were stored.
struct Attend {
  Reg q, out;
  int heads = 0, kv_heads = 0, head_dim = 0;
  float scale = 1;
  int64_t window = 0;  // 0: all positions
  Format query, kv, probability;
  std::optional<WeightRef> probability_step;  // where scales are static
  // Scores of all rows against the longest context are computed, and with P written to memory and read back, instead of
  // a tile at a time (online softmax). Estimates alone.
  bool materialised = false;
};

// out = act(gate) × up, or act(gate).
struct Gate {
  Reg gate, out;
  std::optional<Reg> up;
  ActivationKind activation = ActivationKind::kSilu;
  int n = 0;
};

// stream += multiplier × in, rounded to `stream_code`.
struct Add {
  Reg in;
  Reg stream = Reg::kStream;
  float multiplier = 1;
  int n = 0;
  Code stream_code = Code::kF32;
};

// A mixture of experts (N. Shazeer et al., ICLR 2017; A. Jiang et al., arXiv 2401.04088): a router picks `per_token` of
// `experts` MLPs for each row, and out = Σ weight of the expert × down(act(gate · in) × up · in). Estimated, not
// computed.
struct Experts {
  Reg in, out;       // of h values
  WeightRef router;  // [experts][h], kept in router_code
  Code router_code = Code::kBf16;
  int experts = 0, per_token = 0;
  int held = 0;        // that lie on this device: all of them, or whole experts of a shard
  int n = 0, ffn = 0;  // h, f of one expert
  bool gated = true;   // act(gate) × up, else act(up)
  ActivationKind activation = ActivationKind::kSilu;
  Format weights, input, inner;  // of the three matrices, of what enters them, of what enters the last
  Sparsity sparsity;
};

// All-gather: each of `of` ranks holds n / of consecutive values of `reg`; afterwards each holds all n. The appliance
// does it. No reduction exists: no float partial sum crosses cards.
struct Collective {
  Reg reg;
  int n = 0, of = 1;
};

// Visited without a default case: a new kind of operator breaks the build of every reader that does not know it.
using Op = std::variant<Embed, Norm, Quantize, Linear, Rotate, StoreKv, Attend, Gate, Add, Experts, Collective>;
const char* NameOf(const Op& op);

// `ops` run for layers first_layer … first_layer + repeat − 1. Weights belong to the running layer, or to none (layer
// −1) in the segments before and after the layers.
struct Segment {
  int first_layer = -1;
  int repeat = 1;
  int exited = 0;  // of these, the last ones that an average row leaves out (early exit, by estimates alone)
  std::vector<Op> ops;
  std::vector<uint16_t> fusion;  // one an op; consecutive equal ids ≠ 0 are one kernel whose inner bytes are not moved

  int runs() const { return repeat - exited; }  // that an average row goes through; all of them are resident
};

struct Program {
  std::vector<Segment> segments;
};

// The whole model: [embed] [layer × layers] [output]. Refused by name: what an architecture needs and no operator says.
Result<Program> Describe(const ModelConfig& config, const Recipe& recipe);

// A program may be cut between cards wherever nothing but the residual stream is alive. What lies between two such
// places is a part: the embedding, attention and MLP of each layer (one part where they run in parallel), the output
// layer. A model of L layers has 2 L + 2 parts.
int PartCount(const Program& program);
// Parts [begin, end) as a program of its own. Slices that touch, put together, are the whole.
Program Slice(const Program& program, int begin, int end);
// Parts at which a layer, the first layer, the output layer or nothing more begins: {0, 1, 3, 5, …, PartCount}.
std::vector<int> LayerCutPoints(const Program& program);

// Rank `rank` of `of`: heads and output columns are split, gathers inserted before every operator that needs whole
// rows. The output layer's columns are split in multiples of 16, the last rank taking what remains, and stay split: the
// host gathers logits. Elsewhere heads, KV heads and widths must divide by `of`; refused with the numbers. Experts are
// refused: what one of them needs gathered lies inside the operator.
Result<Program> Shard(const Program& program, int rank, int of);

// Expert parallelism: rank `rank` of `of` holds whole experts, everything else is left as it is. Refused, with the
// numbers: a program without experts, or with a number of them that does not divide by `of`.
Result<Program> ShardExperts(Program program, int rank, int of);

// Same operators with fusion ids: row operators that follow one another form one pass over the row. Same bits.
Program Fuse(Program program);

// What a card holds: a contiguous slice of the model, whole or one rank of it.
struct Stage {
  Program program;
  int first_layer = -1, layers = 0;  // layers that have at least one part here
  int rank = 0, of = 1;
  bool has_embedding = false, has_output = false;
  std::string label;  // "layer 3", "layer 3 attention", "output 1/2", "layers 0–13"
};
// Stage of parts [begin, end).
Result<Stage> MakeStage(const Program& program, int begin, int end, int rank = 0, int of = 1);

}  // namespace lodestone
