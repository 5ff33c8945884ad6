#include "timing/attention_mapping.h"

#include <fmt/format.h>

#include <algorithm>

#include "timing/saturated.h"

namespace lodestone {

std::string ToString(const AttentionMapping& mapping) {
  return fmt::format("{} of KV heads × {} of the positions",
                     mapping.head_groups == 1 ? "1 group" : fmt::format("{} groups", mapping.head_groups),
                     mapping.position_parts == 1 ? "1 part" : fmt::format("{} parts", mapping.position_parts));
}

std::vector<AttentionMapping> AttentionMappings(const AttentionShape& shape, const CoreArray& array) {
  std::vector<AttentionMapping> mappings;
  const int64_t most = std::min(shape.kv_heads, array.cores);
  for (int64_t groups = 1; groups <= most; ++groups) {
    if (array.cores % groups != 0 && groups != most) continue;
    mappings.push_back({.head_groups = groups, .position_parts = array.cores / groups});
  }
  return mappings;
}

AttentionRun::AttentionRun(const AttentionShape& shape, const AttentionMapping& mapping, const CoreArray& array,
                           bool starts)
    : shape_(shape),
      shared_(shape.heads / shape.kv_heads),
      core_heads_(CeilDiv(shape.kv_heads, mapping.head_groups)),
      core_queries_(core_heads_ * shared_),
      score_vectors_(CeilDiv(shape.head_dim, array.VectorLength(shape.score_format))),
      output_tiles_(CeilDiv(shape.head_dim, array.matrix_columns)),
      parts_(mapping.position_parts),
      score_tile_(mapping.position_parts * array.matrix_columns),
      value_tile_(mapping.position_parts * array.VectorLength(shape.value_format)),
      memory_rate_(array.memory_rate),
      vector_rate_(array.vector_rate),
      activation_rate_(array.activation_rate),
      partial_sum_rows_(array.partial_sum_rows == 0 ? kSaturated : array.partial_sum_rows),
      activation_network_(array.activation_network),
      partial_sum_network_(array.partial_sum_network),
      program_byte_hops_(starts ? array.program_bytes * array.cores : 0) {
  if (mapping.position_parts > 1) {
    merge_steps_ = AttentionShape::kMergeSteps * shape.head_dim;
    merged_bytes_ = AttentionShape::kOutputBytes * (shape.head_dim + 1 + 2);
  }
  array.Start(starts, array.Diameter() + 3 * array.Hops(mapping.position_parts), started_);
}

OperatorRun AttentionRun::At(const Load& load) const {
  OperatorRun run = started_;
  const int64_t parts = parts_.value(), rows = load.rows;
  const int64_t sequences = std::clamp<int64_t>(load.sequences, 1, std::max<int64_t>(rows, 1));
  const int64_t context = std::min(load.context_sum, kSaturated), tokens = std::min(load.kv_tokens_read, kSaturated);

  // The most of `total` positions, of `runs` sequences or rows, that lie in one of so many.
  const auto most = [](int64_t total, int64_t runs, const Divisor& of) {
    return of.Floor(Plus(total, Times(runs, of.value() - 1)));
  };
  const int64_t positions = most(tokens, sequences, parts_);
  const int64_t scores = most(context, rows, parts_);
  const int64_t score_tiles = most(context, rows, score_tile_), value_tiles = most(context, rows, value_tile_);
  const int64_t reads = partial_sum_rows_.Ceil((rows - sequences + 1) * shared_);
  const int64_t output_bytes = Times(rows, shape_.head_dim * AttentionShape::kOutputBytes);  // a query head
  const int64_t query_traffic = Times(Plus(rows, score_tiles), shape_.query_bytes);

  run[Resource::kMatrix] =
      Times(core_queries_, Plus(Times(score_tiles, score_vectors_), Times(value_tiles, output_tiles_)));
  run[Resource::kMemory] = memory_rate_.Ceil(Plus(Times(positions, core_heads_ * shape_.kv_bytes, reads),
                                                  Times(core_queries_, Plus(query_traffic, output_bytes))));
  run[Resource::kVector] =
      vector_rate_.Ceil(Times(core_queries_, Plus(Times(scores, shape_.score_steps), Times(rows, merge_steps_))));
  run[Resource::kActivation] = activation_rate_.Ceil(Times(core_queries_, scores));
  const int64_t core_rows = Times(rows, core_queries_);
  run[Resource::kActivationNetwork] =
      CoreArray::NetworkCycles(Times(core_rows, shape_.query_bytes), activation_network_);
  run[Resource::kPartialSumNetwork] = CoreArray::NetworkCycles(Times(core_rows, merged_bytes_), partial_sum_network_);

  const int64_t all_scores = Times(context, shape_.heads), all_rows = Times(rows, shape_.heads);
  const int64_t operations = Times(2, all_scores, shape_.head_dim);
  run.operations[static_cast<size_t>(shape_.score_format)] += operations;
  run.operations[static_cast<size_t>(shape_.value_format)] += operations;
  run.memory_bytes =
      Plus(Plus(Times(tokens, shape_.kv_heads * shape_.kv_bytes, reads), Times(query_traffic, shape_.heads * parts)),
           Plus(Times(output_bytes, shape_.heads), shape_.constant_bytes));
  run.network_byte_hops =
      Plus(Times(all_rows, shape_.query_bytes * parts + merged_bytes_ * (parts - 1)), program_byte_hops_);
  run.vector_steps = Plus(Times(all_scores, shape_.score_steps + 1), Times(all_rows, merge_steps_ * (parts - 1)));
  return run;
}

int64_t KvBytesOn(const AttentionShape& shape, const AttentionMapping& mapping, int64_t positions, int64_t group,
                  int64_t part) {
  return Times(ShareOf(std::min(positions, kSaturated), mapping.position_parts, part),
               ShareOf(shape.kv_heads, mapping.head_groups, group) * shape.kv_bytes);
}

}  // namespace lodestone
