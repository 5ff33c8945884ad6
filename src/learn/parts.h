// The parts of a model's program, each with its tape and with the parameters that its operators use.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "kernels/linear_products.h"
#include "learn/differentiator.h"
#include "learn/parameters.h"
#include "learn/tape.h"
#include "program/program.h"

namespace lodestone {

// What a node of a tape uses beside its values; null what it has not.
struct Bound {
  const Parameter* weight = nullptr;  // Embed: the table
  const Parameter* bias = nullptr;    // Embed: the positions
  const Parameter* step = nullptr;    // static quantisers: Quantize, StoreKv (of keys), Attend (of probabilities)
  const Parameter* value_step = nullptr;
  const Parameter* weight_steps = nullptr;   // Linear with integer weights
  const kernels::BlockMask* mask = nullptr;  // Linear
};

struct Part {
  Program program;           // one segment, run once
  Tape tape;                 // of its operators
  std::vector<Bound> bound;  // one a node
  int layer = -1;
  int64_t final_from = -1;  // gradients from here on are final once this part is walked back; −1: no more than before

  const TapeNode& node(size_t i) const { return tape.nodes[i]; }
};

std::vector<Part> MakeParts(const Program& program, const Parameters& parameters, const DifferentiatorOptions& options);

// "layer 3 q_proj", "layer 3 attend", "embed".
std::string OperatorName(const Op& op, int layer);

}  // namespace lodestone
