#include "timing/core_array.h"

#include <algorithm>
#include <cmath>

#include "timing/saturated.h"

static_assert(static_cast<size_t>(lodestone::Resource::kStart) + 1 == lodestone::kResources);

namespace lodestone {
namespace {

int64_t AtLeastOne(const Figure& figure) { return std::max<int64_t>(std::llround(figure.value), 1); }

Energy Picojoules(double pj) { return {static_cast<int64_t>(std::min(pj + 0.5, static_cast<double>(kSaturated)))}; }

}  // namespace

std::optional<MatrixFormat> MatrixFormatOf(Code wider) {
  switch (wider) {
    case Code::kInt8:
    case Code::kUint8:
      return MatrixFormat::kInt8;
    case Code::kInt4:
    case Code::kUint4:
      return MatrixFormat::kInt4;
    case Code::kInt2:
      return MatrixFormat::kInt2;
    case Code::kF32:
    case Code::kF16:
    case Code::kFp8:
    case Code::kBf16:
      return std::nullopt;
  }
  return std::nullopt;
}

int64_t OperatorRun::TotalCycles() const {
  return Plus(std::min(cycles[static_cast<size_t>(LongestWork())], kSaturated),
              cycles[static_cast<size_t>(Resource::kStart)]);
}

Resource OperatorRun::LongestWork() const {
  return static_cast<Resource>(std::max_element(cycles.begin(), cycles.end() - 1) - cycles.begin());
}

Resource OperatorRun::Bound() const {
  const Resource work = LongestWork();
  const int64_t longest = cycles[static_cast<size_t>(work)];
  return longest > 0 && longest >= cycles[static_cast<size_t>(Resource::kStart)] ? work : Resource::kStart;
}

CoreArray CoreArray::Of(const ChipSpec& chip, Fidelity fidelity) {
  CoreArray array;
  array.cores = AtLeastOne(chip.cores);
  array.rows = std::min(AtLeastOne(chip.array_rows), array.cores);
  array.columns = CeilDiv(array.cores, array.rows);
  array.divisors.clear();
  for (int64_t d = 1; d <= array.cores; ++d) {
    if (array.cores % d == 0) array.divisors.push_back(d);
  }
  array.core_memory_bytes = AtLeastOne(chip.core_memory_bytes);
  array.matrix_columns = AtLeastOne(chip.matrix_columns);
  array.matrix_rate = {AtLeastOne(chip.int8_ops_per_core_cycle), AtLeastOne(chip.int4_ops_per_core_cycle),
                       AtLeastOne(chip.int2_ops_per_core_cycle)};
  array.memory_rate = AtLeastOne(chip.memory_bytes_per_core_cycle);
  array.vector_rate = AtLeastOne(chip.vector_lanes_per_core);
  array.activation_rate = AtLeastOne(chip.activation_lanes_per_core);
  if (fidelity == Fidelity::kCalibrated) {
    array.activation_network = AtLeastOne(chip.activation_network_bytes_per_cycle);
    array.partial_sum_network = AtLeastOne(chip.partial_sum_network_bytes_per_cycle);
    array.model_network = AtLeastOne(chip.model_network_bytes_per_cycle);
    array.instruction_network = AtLeastOne(chip.instruction_network_bytes_per_cycle);
    array.partial_sum_rows = AtLeastOne(chip.partial_sum_rows);
    array.program_bytes = std::llround(chip.operator_program_bytes.value);
    array.hop_cycles = std::llround(chip.hop_cycles.value);
    array.start_cycles = std::llround(chip.operator_start_cycles.value);
  }
  array.operation_pj = {chip.int8_op_pj.value, chip.int4_op_pj.value, chip.int2_op_pj.value};
  array.memory_byte_pj = chip.memory_byte_pj.value;
  array.byte_hop_pj = chip.network_byte_hop_pj.value;
  array.vector_step_pj = chip.vector_op_pj.value;
  array.ps_per_cycle = 1e12 / std::max(chip.clock_hz.value, 1.0);
  return array;
}

int64_t CoreArray::VectorLength(MatrixFormat format) const {
  return std::max<int64_t>(matrix_rate[static_cast<size_t>(format)] / 2 / matrix_columns, 1);
}

int64_t CoreArray::Hops(int64_t neighbours) const {
  if (neighbours <= columns) return std::max<int64_t>(neighbours - 1, 0);
  return columns - 1 + CeilDiv(neighbours, columns) - 1;
}

void CoreArray::Start(bool starts, int64_t hops, OperatorRun& run) const {
  run[Resource::kInstructionNetwork] = starts ? NetworkCycles(program_bytes, instruction_network) : 0;
  run[Resource::kStart] = (starts ? start_cycles : 0) + hops * hop_cycles;
}

EnergyParts CoreArray::EnergyOf(const OperatorRun& run) const {
  double matrix = 0;
  for (size_t f = 0; f < kMatrixFormats; ++f) matrix += static_cast<double>(run.operations[f]) * operation_pj[f];
  return {.matrix = Picojoules(matrix),
          .memory = Picojoules(static_cast<double>(run.memory_bytes) * memory_byte_pj),
          .vector = Picojoules(static_cast<double>(run.vector_steps) * vector_step_pj),
          .network = Picojoules(static_cast<double>(run.network_byte_hops) * byte_hop_pj)};
}

}  // namespace lodestone
