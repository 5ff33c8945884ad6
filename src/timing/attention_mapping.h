// Attention over the K and V that lie in core memory, on the array of cores.
//
// The cores are dealt to groups of KV heads, and within a group to parts of the positions: position p of a sequence
// lies on part p mod P. K and V are read once for the g query heads that share them; every part has the queries of its
// heads, and its softmax sums and partial outputs are merged from part to part. With h heads a core, T the KV
// positions, C the context sum, R the rows and S the sequences of the load, the most that P parts can leave to one core
// are
//
//   ⌊(T + S (P − 1)) / P⌋ positions               ⌊(C + R (P − 1)) / P⌋ scores a head
//   ⌊(C + R (PX − 1)) / PX⌋ tiles of X positions a query head
//
// which is less than one position, score or tile a sequence or row more than contexts of these sums need, and what a
// schedule without data-dependent branches has to allow for.
//
//   matrix          h g × (tiles of `matrix_columns` × ⌈d / L⌉ for Q·K, tiles of L × ⌈d / matrix_columns⌉ for P·V)
//   memory          K and V of h heads, again for every `partial_sum_rows` queries; outputs; queries, written once and
//                   read once a tile
//   vector          7 steps a score (work.h), and 2 a value of a merged output
//   activation      one exp a score
//   activation net  queries
//   partial sums    a query's output and sum, 4 d + 4 B, and its maximum to one core and back, 8 B, where P > 1
//   start           the start, the way across the array, and three ways through the parts: maximum, back, output
//
// That K and V stay in core memory is published (HPEC 2024); how they lie there, and the merging, is our reading.
#pragma once

#include <string>
#include <vector>

#include "program/work.h"
#include "timing/core_array.h"
#include "timing/saturated.h"

namespace lodestone {

struct AttentionShape {
  int64_t heads = 1, kv_heads = 1, head_dim = 1;
  MatrixFormat score_format = MatrixFormat::kInt8, value_format = MatrixFormat::kInt8;
  int64_t query_bytes = 0;     // a query head and row, scale included
  int64_t kv_bytes = 0;        // K and V of a head and position, scales included
  int64_t constant_bytes = 0;  // step sizes
  int64_t score_steps = 0;     // of the vector unit, a score
  static constexpr int kOutputBytes = 4, kMergeSteps = 2;
};

struct AttentionMapping {
  int64_t head_groups = 1, position_parts = 1;

  int64_t cores() const { return head_groups * position_parts; }
  friend bool operator==(const AttentionMapping&, const AttentionMapping&) = default;
};
std::string ToString(const AttentionMapping& mapping);  // "8 groups of KV heads × 32 parts of the positions"

// As many head groups as divide the cores, or as there are KV heads; all other cores to parts of the positions.
std::vector<AttentionMapping> AttentionMappings(const AttentionShape& shape, const CoreArray& array);

// Attention mapped: what does not depend on the load is worked out once, for it is what every pass asks anew.
class AttentionRun {
 public:
  AttentionRun() = default;
  AttentionRun(const AttentionShape& shape, const AttentionMapping& mapping, const CoreArray& array, bool starts);
  OperatorRun At(const Load& load) const;

 private:
  AttentionShape shape_;
  int64_t shared_ = 1, core_heads_ = 1, core_queries_ = 1;  // query heads a KV head; KV and query heads of a core
  int64_t score_vectors_ = 1, output_tiles_ = 1;            // ⌈d / L⌉, ⌈d / matrix_columns⌉
  int64_t merge_steps_ = 0, merged_bytes_ = 0;              // a query head and row; 0 with one part
  Divisor parts_, score_tile_, value_tile_;                 // P, and positions that P tiles cover
  Divisor memory_rate_, vector_rate_, activation_rate_, partial_sum_rows_;
  int64_t activation_network_ = 0, partial_sum_network_ = 0;
  int64_t program_byte_hops_ = 0;
  OperatorRun started_;  // of no load: start and program
};

// Bytes of one core's K and V where `positions` lie on the card; over all cores they sum to the whole.
int64_t KvBytesOn(const AttentionShape& shape, const AttentionMapping& mapping, int64_t positions, int64_t group,
                  int64_t part);

}  // namespace lodestone
