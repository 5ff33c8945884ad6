// A linear layer on the array of cores.
//
// Its n output columns are dealt in slices of `matrix_columns` to column groups, its k inputs in slices of as many
// values to k parts, its rows to row groups: a core has a place in one of each. Letters, all of the fullest core:
//
//   c = ⌈⌈n / slice⌉ / column groups⌉ slices of columns      k' = ⌈⌈k / slice⌉ / k parts⌉ slices of inputs, in values
//   e = ⌈c / k parts⌉ slices whose sums end here            r' = ⌈r / row groups⌉ rows
//   L = inputs of a row that the matrix unit takes in a cycle
//
//   matrix          r' c ⌈k' / L⌉ at the rate of the wider operand
//   memory          own weights × ⌈r' / partial_sum_rows⌉ + inputs, written once and read once a slice of columns +
//                   outputs of e slices, at the memory rate
//   activation net  r' inputs of k' values
//   partial sums    r' c × slice × 4 B where k has parts, handed from core to core, added on the way
//   model net       the weights of other row groups: (row groups − 1) / row groups of the slice, × ⌈r' / …⌉
//   vector          r' × slice × (e × steps of scales and bias, and c additions where k has parts)
//   start           the operator's start, the way across the array, the way of the last sum through the parts, and that
//                   of weights through the row groups
//
// Weights lie once on the chip: the row groups share theirs. Sums of a core's slices end on the parts of k in turn, and
// scales and biases lie there. Inputs are staged row by row as room allows; that room is not charged.
//
// Published (Modha et al., Science 2023): rates, one memory a core for weights and activations, partial sums that go
// from neighbour to neighbour, activations that reach any core, weights that come from other cores while an operator
// runs. Our reading: the slices, the orders of reading, and that networks, units and memory overlap within an operator.
#pragma once

#include <string>
#include <vector>

#include "timing/core_array.h"

namespace lodestone {

struct LinearShape {
  int64_t outputs = 0, inputs = 0;
  MatrixFormat format = MatrixFormat::kInt8;  // of the wider operand
  int weight_bits = 8, input_bits = 8;
  int64_t input_scale_bytes = 0;          // a row
  int64_t column_scale_bytes = 0;         // a column, all of its groups
  int64_t column_bias_bytes = 0;          // a column
  int64_t output_steps = 0;               // of the vector unit, a value
  static constexpr int kOutputBytes = 4;  // a value, and a partial sum
};

struct LinearMapping {
  int64_t column_groups = 1, k_parts = 1, row_groups = 1;

  int64_t cores() const { return column_groups * k_parts * row_groups; }
  friend bool operator==(const LinearMapping&, const LinearMapping&) = default;
};
std::string ToString(const LinearMapping& mapping);  // "64 groups of output columns × 4 parts of k"

// Every way to cut k and the rows into parts whose numbers divide the cores, with as many column groups as then fit.
// Rows are dealt to groups only where the weight has fewer slices than the array has cores: elsewhere that would send
// weights over the model network, every pass, to cores that can hold weights of their own.
std::vector<LinearMapping> LinearMappings(const LinearShape& shape, const CoreArray& array, int64_t rows);

OperatorRun RunOf(const LinearShape& shape, const LinearMapping& mapping, const CoreArray& array, int64_t rows,
                  bool starts);

// Bytes of weights, scales and biases of one core: column group, part of k, row group. Over all cores they sum to the
// whole weight.
int64_t WeightBytesOn(const LinearShape& shape, const LinearMapping& mapping, const CoreArray& array, int64_t group,
                      int64_t part, int64_t row_group);
// Of the fullest core.
int64_t FullestWeightBytes(const LinearShape& shape, const LinearMapping& mapping, const CoreArray& array);

}  // namespace lodestone
