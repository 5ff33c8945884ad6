// The registers of a pass: one row a token, sized once from the operators that write them.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/status.h"
#include "numerics/packed_matrix.h"
#include "program/program.h"

namespace lodestone {

class RegisterFile {
 public:
  // Learns the widest use of every register.
  void Fit(std::span<const Op> ops);
  // Makes room for `rows` rows; contents do not survive growth. kInfeasible where the host refuses the memory.
  Status Reserve(int rows);

  float* Floats(Reg reg, int64_t row) { return At<float>(reg, row); }
  int8_t* Codes(Reg reg, int64_t row) { return At<int8_t>(reg, row); }
  uint16_t* Halves(Reg reg, int64_t row) { return At<uint16_t>(reg, row); }
  // One a row, or one a row and head.
  float* Scales(Reg reg, int64_t row) {
    Register& r = registers_[static_cast<size_t>(reg)];
    return reinterpret_cast<float*>(r.scales.data()) + row * r.scales_per_row;
  }
  int64_t RowBytes(Reg reg) const { return registers_[static_cast<size_t>(reg)].row_bytes; }
  int64_t ScalesPerRow(Reg reg) const { return registers_[static_cast<size_t>(reg)].scales_per_row; }

 private:
  struct Register {
    int64_t row_bytes = 0, scales_per_row = 0;
    AlignedBuffer values, scales;
  };

  template <typename T>
  T* At(Reg reg, int64_t row) {
    Register& r = registers_[static_cast<size_t>(reg)];
    return reinterpret_cast<T*>(r.values.data() + row * r.row_bytes);
  }
  void Widen(Reg reg, int64_t row_bytes, int64_t scales);

  std::array<Register, static_cast<size_t>(Reg::kCount)> registers_;
  int rows_ = 0;
};

}  // namespace lodestone
