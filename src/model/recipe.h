// In which formats a model computes: one row of DESIGN's recipe table.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "numerics/format.h"

namespace lodestone {

struct Recipe {
  std::string name;                     // as given: "w4a8:g128"
  Format weights;                       // of every linear layer but the output layer
  Format activations;                   // inputs of linear layers but those below
  Format query;                         // Q, a head
  Format probability;                   // P, the softmax output
  Format kv;                            // K and V as stored, a head
  Format output_weights, output_input;  // of the output layer
  Format down_input;                    // of the down-projection: the SiLU·up product
  Code stream =
      Code::kF32;  // the residual stream, and what travels between cards: f32, or bf16 rounded at every addition
};

// "f32", "bf16", "w8a8", "w4a16", "w4a8", "w4a8c8", "w4a4"; "w2a8", "w2a4", which can be planned and simulated but not
// computed; "w8a16", "w2a16" and "f8" (fp8 weights and inputs of linear layers, attention and output layer in bf16),
// for estimates of other machines, which executors refuse by name where they have no kernel. Each with optional
// suffixes:
// ":g32|g64|g128" (two-level group scales of int4 weights; the output layer keeps channel scales), ":static" or
// ":dynamic" (scales of activations, Q, P and KV where these are integers; default dynamic, for w4a8c8 static), and
// ":kv8" or ":kv4" (K and V stored in another integer format, or, of f8, in fp8: estimates only). Dynamic is kHead for
// Q, K and V and kToken elsewhere; for P kToken stands for the scale that the softmax itself yields. An unknown name or
// suffix lists what exists; a suffix that has nothing to choose in its recipe is refused.
Result<Recipe> ParseRecipe(std::string_view text);
std::vector<std::string> RecipeNames();

}  // namespace lodestone
