// Lays a stage on the cores of a chip: chooses a mapping for every operator, puts weights and KV on cores, and checks
// the fullest.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "timing/operator_shape.h"
#include "timing/timing.h"

namespace lodestone {

struct MappedLinear {
  LinearShape shape;
  LinearMapping mapping;
  bool logit_rows_only = false;  // not started where no logits are wanted
};

struct MappedAttention {
  AttentionShape shape;
  AttentionMapping mapping;
  AttentionRun run;
};

struct MappedOperator {
  const char* op = "";
  std::string weight;
  int repeat = 1;      // layers that run it
  bool starts = true;  // the first of its fused kernel
  std::variant<OffCard, RowShape, MappedLinear, MappedAttention> work;
  int64_t gather_bytes_per_row = 0;        // of a collective: this rank's part
  int considered = 0;                      // mappings that were compared
  int64_t weight_bytes = 0, kv_bytes = 0;  // of one layer, on the fullest core

  bool is_collective() const { return gather_bytes_per_row > 0; }
};

struct MappedStage {
  std::vector<std::vector<MappedOperator>> segments;  // operators of one layer of each
  int64_t fullest_core_bytes = 0;
};

// For the load of `demand`, each operator gets the mapping that takes the fewest cycles; of equals, the one whose
// fullest core holds least, then the one with fewest parts of k. Where these do not fit the cores together, mappings
// that hold at most 5/4 of the least are taken, then those that hold the least.
//
// Groups of unequal size are put on the emptiest cores first, operator after operator. A core holds its weights, its
// part of `kv_positions` and of the registers of `rows_per_pass` rows.
//
// Infeasible: a format without a unit; no mapping whose fullest core holds its share, with the bytes and what would
// fit.
Result<MappedStage> MapStage(const Stage& stage, const CoreArray& array, const MapDemand& demand);

// Of one layer; all zero for what is off the card or not started.
OperatorRun RunOf(const MappedOperator& mapped, const CoreArray& array, const Load& load);
// In words.
std::string LayoutOf(const MappedOperator& mapped, const CoreArray& array);
int CoresOf(const MappedOperator& mapped, const CoreArray& array);

}  // namespace lodestone
