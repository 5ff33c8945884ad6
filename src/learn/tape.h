// One part of the program (the embedding, the attention or the MLP of a layer, the output layer) as the differentiator
// walks it: every write of a register is a value of its own, and for each value it is settled how long it lives and
// where.
//
// Between forward and backward a part keeps the residual stream that enters it and what its heavy operators (linear
// layers, attention) computed, as far as the backward reads it. Row operators cost little, so what they computed is
// computed again. With `recompute`, heavy operators are too, and the stream alone is kept.
//
// Everything is f32, rows of all sequences below each other: [sequences × length][width]. Formats other than f32 are
// values that have been rounded to them: a Quantize to bf16 needs no value of its own, since all who read its result
// (matrix products and attention in precision bf16) round what they read; integers stand as code × step, from which the
// step gives back the code.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "program/program.h"

namespace lodestone {

enum class Place : uint8_t {
  kFrame,      // kept from forward to backward, one copy a part
  kNextFrame,  // the stream that enters the next part
  kScratch,    // shared by all parts
};

// Offsets and widths count floats a row; offsets are multiples of 16.
struct TapeValue {
  int64_t width = 0;
  Place place = Place::kScratch;
  bool stream = false;            // its gradient is that of the residual stream, which all parts share
  int64_t offset = 0;             // in the frame or the scratch
  int64_t gradient_offset = 0;    // in the scratch, unless it is of the stream
  std::optional<WeightRef> step;  // of the static quantiser that made it
};

// Attend reads q, k, v and writes the attended values and the logarithms of the softmax sums [sequence][head][length].
// The output layer (Linear to the logits) writes nothing here: logits are never held whole.
struct TapeNode {
  const Op* op = nullptr;
  std::vector<int> reads, writes;  // values
  bool replay = false;             // computed again before the backward
};

struct Tape {
  std::vector<TapeValue> values;  // the first is the stream that enters, unless the part embeds
  std::vector<TapeNode> nodes;    // of the operators that compute something, in order
  int64_t frame_width = 0, scratch_width = 0;
};

// `ops` outlive the tape. Collectives are not for tapes.
Tape MakeTape(std::span<const Op> ops, bool recompute);

}  // namespace lodestone
