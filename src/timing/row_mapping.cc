#include "timing/row_mapping.h"

#include <algorithm>

#include "timing/saturated.h"

namespace lodestone {

OperatorRun RunOf(const RowShape& shape, const CoreArray& array, int64_t rows, bool starts) {
  constexpr int kNumberBytes = 4;
  OperatorRun run;
  const int64_t slices = CeilDiv(std::max<int64_t>(shape.values, 1), array.matrix_columns);
  const int64_t core_slices = CeilDiv(Times(rows, slices), array.cores);
  // ⌈core_slices / slices × what a row has / rate⌉
  const auto cycles = [&](int64_t of_row, int64_t rate) { return CeilDiv(Times(core_slices, of_row), slices * rate); };

  run[Resource::kMemory] = CeilDiv(Plus(Times(core_slices, shape.read_bytes + shape.write_bytes),
                                        Times(std::min(core_slices, slices), shape.constant_bytes)),
                                   slices * array.memory_rate);
  run[Resource::kVector] = cycles(shape.vector_steps, array.vector_rate);
  run[Resource::kActivation] = cycles(shape.activations, array.activation_rate);
  if (array.activation_network > 0) {
    run[Resource::kActivationNetwork] = cycles(shape.read_bytes, array.activation_network);
  }
  const int64_t hops = array.Diameter();
  int64_t way = shape.read_bytes > 0 ? hops : 0;
  if (shape.reduces) {
    run[Resource::kPartialSumNetwork] =
        CoreArray::NetworkCycles(Times(rows, 2 * kNumberBytes), array.partial_sum_network);
    way += 2 * hops;
  }
  array.Start(starts, way, run);

  run.memory_bytes = Plus(Times(rows, shape.read_bytes + shape.write_bytes), shape.constant_bytes);
  run.network_byte_hops =
      Plus(Times(rows, shape.read_bytes, array.MeanHops()), starts ? array.program_bytes * array.cores : 0);
  if (shape.reduces) {
    run.network_byte_hops = Plus(run.network_byte_hops, Times(rows, 2 * kNumberBytes, array.cores - 1));
  }
  run.vector_steps = Times(rows, shape.vector_steps + shape.activations);
  return run;
}

}  // namespace lodestone
