#include "timing/linear_mapping.h"

#include <fmt/format.h>

#include <algorithm>

#include "timing/saturated.h"

namespace lodestone {
namespace {

// Values of part `index` where `total` values are dealt in whole slices; only the last slice may be short.
int64_t ValuesOf(int64_t total, int64_t slice, int64_t parts, int64_t index) {
  const int64_t slices = CeilDiv(total, slice);
  const int64_t mine = ShareOf(slices, parts, index);
  const int64_t before = slices / parts * index + std::min(index, slices % parts);
  return std::min((before + mine) * slice, total) - std::min(before * slice, total);
}

int64_t BitBytes(int64_t values, int bits) { return (values * bits + 7) / 8; }

}  // namespace

std::string ToString(const LinearMapping& mapping) {
  std::string text =
      fmt::format("{} {} of output columns", mapping.column_groups, mapping.column_groups == 1 ? "group" : "groups");
  if (mapping.k_parts > 1) text += fmt::format(" × {} parts of k", mapping.k_parts);
  if (mapping.row_groups > 1) text += fmt::format(" × {} groups of rows", mapping.row_groups);
  return text;
}

std::vector<LinearMapping> LinearMappings(const LinearShape& shape, const CoreArray& array, int64_t rows) {
  const int64_t column_slices = CeilDiv(shape.outputs, array.matrix_columns);
  const int64_t input_slices = CeilDiv(shape.inputs, array.matrix_columns);
  const bool fills = Times(column_slices, input_slices) >= array.cores;
  std::vector<LinearMapping> mappings;
  for (const int64_t k_parts : array.divisors) {
    if (k_parts > input_slices) break;
    for (const int64_t row_groups : array.divisors) {
      if (row_groups > (fills ? 1 : rows) || k_parts * row_groups > array.cores) break;
      mappings.push_back({.column_groups = std::min(array.cores / (k_parts * row_groups), column_slices),
                          .k_parts = k_parts,
                          .row_groups = row_groups});
    }
  }
  return mappings;
}

OperatorRun RunOf(const LinearShape& shape, const LinearMapping& mapping, const CoreArray& array, int64_t rows,
                  bool starts) {
  OperatorRun run;
  const int64_t slice = array.matrix_columns;
  const int64_t column_slices = CeilDiv(shape.outputs, slice);
  const int64_t core_slices = CeilDiv(column_slices, mapping.column_groups);
  const int64_t core_columns = std::min(core_slices * slice, shape.outputs);
  const int64_t core_inputs = std::min(CeilDiv(CeilDiv(shape.inputs, slice), mapping.k_parts) * slice, shape.inputs);
  const int64_t core_rows = CeilDiv(rows, mapping.row_groups);
  const int64_t input_bytes = BitBytes(core_inputs, shape.input_bits) + shape.input_scale_bytes;
  const int64_t passes = array.WeightPasses(core_rows);
  const bool sums = mapping.k_parts > 1;

  // Columns whose sums end on this core and become values there.
  const int64_t ended_columns = std::min(CeilDiv(core_slices, mapping.k_parts) * slice, core_columns);
  const int64_t column_constants = shape.column_scale_bytes + shape.column_bias_bytes;
  const int64_t slice_weights =
      Plus(Times(core_columns, BitBytes(core_inputs, shape.weight_bits)), Times(ended_columns, column_constants));
  const int64_t own_weights = CeilDiv(slice_weights, mapping.row_groups);
  const int64_t output_bytes = Times(core_rows, ended_columns * LinearShape::kOutputBytes);

  run[Resource::kMatrix] = Times(core_rows, core_slices, CeilDiv(core_inputs, array.VectorLength(shape.format)));
  run[Resource::kMemory] =
      CeilDiv(Plus(Plus(Times(own_weights, passes), Times(core_rows, input_bytes, 1 + core_slices)), output_bytes),
              array.memory_rate);
  run[Resource::kActivationNetwork] = CoreArray::NetworkCycles(Times(core_rows, input_bytes), array.activation_network);
  if (sums)
    run[Resource::kPartialSumNetwork] =
        CoreArray::NetworkCycles(Times(core_rows, core_columns * LinearShape::kOutputBytes), array.partial_sum_network);
  run[Resource::kModelNetwork] =
      CoreArray::NetworkCycles(Times(slice_weights - own_weights, passes), array.model_network);
  run[Resource::kVector] =
      CeilDiv(Times(core_rows, ended_columns * shape.output_steps + (sums ? core_columns : 0)), array.vector_rate);
  const int64_t hops = array.Diameter() + array.Hops(mapping.k_parts) + array.Hops(mapping.row_groups);
  array.Start(starts, hops, run);

  // All cores together. A broadcast hands every byte on once for each core that takes it in.
  const int64_t row_bytes = BitBytes(shape.inputs, shape.input_bits) + shape.input_scale_bytes * mapping.k_parts;
  const int64_t weights = Times(shape.outputs, BitBytes(shape.inputs, shape.weight_bits) + column_constants);
  const int64_t values = Times(rows, shape.outputs);
  run.operations[static_cast<size_t>(shape.format)] = Times(2, values, shape.inputs);
  run.memory_bytes = Plus(Plus(Times(weights, passes), Times(rows, row_bytes, mapping.column_groups + column_slices)),
                          Times(values, LinearShape::kOutputBytes));
  run.network_byte_hops =
      Plus(Plus(Times(rows, row_bytes, mapping.column_groups),
                Times(values, LinearShape::kOutputBytes, mapping.k_parts - 1)),
           Plus(Times(weights, passes, mapping.row_groups - 1), starts ? array.program_bytes * array.cores : 0));
  run.vector_steps = Times(values, shape.output_steps + mapping.k_parts - 1);
  return run;
}

int64_t WeightBytesOn(const LinearShape& shape, const LinearMapping& mapping, const CoreArray& array, int64_t group,
                      int64_t part, int64_t row_group) {
  const int64_t columns = ValuesOf(shape.outputs, array.matrix_columns, mapping.column_groups, group);
  const int64_t inputs = ValuesOf(shape.inputs, array.matrix_columns, mapping.k_parts, part);
  const int64_t ended = ValuesOf(columns, array.matrix_columns, mapping.k_parts, part);
  const int64_t bytes = Plus(Times(columns, BitBytes(inputs, shape.weight_bits)),
                             Times(ended, shape.column_scale_bytes + shape.column_bias_bytes));
  return ShareOf(bytes, mapping.row_groups, row_group);
}

int64_t FullestWeightBytes(const LinearShape& shape, const LinearMapping& mapping, const CoreArray& array) {
  return WeightBytesOn(shape, mapping, array, 0, 0, 0);
}

}  // namespace lodestone
