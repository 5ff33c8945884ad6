// The NorthPole chip as the mapper sees it: an array of cores, each with its memory, a matrix, a vector and an
// activation unit, joined to its neighbours by four networks. Whole numbers, out of the chip's figures.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "hardware/hardware.h"
#include "numerics/format.h"
#include "timing/timing.h"

namespace lodestone {

enum class Fidelity {
  kIdeal,       // published rates alone: what no source gives takes no time (IdealIgnores in northpole.h)
  kCalibrated,  // with every figure of the chip's file
};

// What the matrix unit multiplies; its rate is that of the wider operand.
enum class MatrixFormat : uint8_t { kInt8, kInt4, kInt2 };
inline constexpr size_t kMatrixFormats = 3;
// Null where the unit does not multiply this code.
std::optional<MatrixFormat> MatrixFormatOf(Code wider);

// What one run of an operator does: cycles of the fullest core a resource, and the work of all cores, which draws the
// energy. A mapping makes it an exact function of the load.
struct OperatorRun {
  std::array<int64_t, kResources> cycles{};
  std::array<int64_t, kMatrixFormats> operations{};  // a multiply and an add are two
  int64_t memory_bytes = 0;                          // read and written
  int64_t network_byte_hops = 0;                     // bytes × cores that they are handed on to
  int64_t vector_steps = 0;                          // of the vector and activation units

  int64_t& operator[](Resource resource) { return cycles[static_cast<size_t>(resource)]; }
  // The longest of what overlaps, and the start.
  int64_t TotalCycles() const;
  Resource LongestWork() const;  // of what overlaps
  // What the run is bound by; the start if that is longer than all work.
  Resource Bound() const;
  int64_t TotalOperations() const { return operations[0] + operations[1] + operations[2]; }
};

struct CoreArray {
  int64_t cores = 1, rows = 1, columns = 1;
  std::vector<int64_t> divisors{1};  // of `cores`, in order
  int64_t core_memory_bytes = 0;
  int64_t matrix_columns = 1;                         // of a tile; also the values of a slice of activations
  std::array<int64_t, kMatrixFormats> matrix_rate{};  // operations a core and cycle
  // A core and cycle. A network without a width (0) takes no time.
  int64_t memory_rate = 1, vector_rate = 1, activation_rate = 1;
  int64_t activation_network = 0, partial_sum_network = 0, model_network = 0, instruction_network = 0;
  int64_t partial_sum_rows = 0;  // 0: any number
  int64_t program_bytes = 0, hop_cycles = 0, start_cycles = 0;
  std::array<double, kMatrixFormats> operation_pj{};
  double memory_byte_pj = 0, byte_hop_pj = 0, vector_step_pj = 0;
  double ps_per_cycle = 0;

  static CoreArray Of(const ChipSpec& chip, Fidelity fidelity);

  // Inputs of a row that the matrix unit multiplies with `matrix_columns` columns in one cycle.
  int64_t VectorLength(MatrixFormat format) const;
  // Times that a core reads its weights for so many rows: its partial sums hold `partial_sum_rows` at a time.
  int64_t WeightPasses(int64_t row_count) const {
    return partial_sum_rows == 0 ? 1 : (row_count + partial_sum_rows - 1) / partial_sum_rows;
  }
  // From one end of so many neighbouring cores to the other: along a row of the array, then down.
  int64_t Hops(int64_t neighbours) const;
  int64_t Diameter() const { return Hops(cores); }
  // Between two cores anywhere, on average: a third of each side.
  int64_t MeanHops() const { return (rows + columns) / 3; }

  // Cycles of `bytes` over a network `width` wide.
  static int64_t NetworkCycles(int64_t bytes, int64_t width) { return width == 0 ? 0 : (bytes + width - 1) / width; }
  // What starting an operator takes, before any of its work: its program, and `hops` on its critical way.
  void Start(bool starts, int64_t hops, OperatorRun& run) const;

  EnergyParts EnergyOf(const OperatorRun& run) const;
};

}  // namespace lodestone
