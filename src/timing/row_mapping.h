// A row operator (norm, quantise, rotate, store K and V, gate, add) on the array of cores.
//
// Its values are dealt to the cores in slices of `matrix_columns`, row after row. Of the fullest core, which has
// u = ⌈rows × slices a row / cores⌉ slices:
//
//   memory          what u slices read and write, and the constants (norm weights, steps) of as many
//   vector          steps of u slices              activation      values of u slices that go through its function
//   activation net  what u slices read from outside the fused kernel
//   partial sums    8 B a row where the row needs one number of its own (a norm's sum of squares, a dynamic scale): 4 B
//                   on the way to one core, 4 B on the way back
//   start           the start, where the operator is the first of its kernel; the way across the array where it reads
//                   from outside, and twice more for a row's number
#pragma once

#include "timing/core_array.h"

namespace lodestone {

struct RowShape {
  int64_t values = 0;                         // a row
  int64_t read_bytes = 0, write_bytes = 0;    // a row, into and out of the fused kernel
  int64_t constant_bytes = 0;                 // whatever the rows
  int64_t vector_steps = 0, activations = 0;  // a row
  bool reduces = false;                       // needs a number of each row
};

OperatorRun RunOf(const RowShape& shape, const CoreArray& array, int64_t rows, bool starts);

}  // namespace lodestone
