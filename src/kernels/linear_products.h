// The three matrix products of a linear layer in training: y = x·Wᵀ, dx = dy·W and dW = dyᵀ·x.
//
//   letters: r rows (tokens), n outputs, k inputs. Matrices are row-major f32 in memory.
//
// Bits. Every element is summed over its inner index in ascending order into one f32 accumulator, with one fused
// multiply-add an element, so no result depends on blocking, on the number of threads or on the other rows. f32 has
// the same bits on every instruction set, and forward those of KernelTable::matmul_f32. Precision kBf16 rounds both
// operands to bf16 (nearest even) on their way into the packed panels and sums in f32: the master weights stay f32. Its
// bits, too, are equal everywhere but on AMX, whose tiles sum 16 even and 16 odd depths before they add them; with AMX
// a sum over rows that is taken in two calls has the bits of one if the first had a multiple of 32 rows, elsewhere
// always: gradient accumulation changes nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "host/thread_pool.h"

namespace lodestone::kernels {

enum class Precision : uint8_t { kF32, kBf16 };

// Which blocks of W[n][k] are kept; the others hold zeros, and no product multiplies or writes them, nor reads them but
// where a block of 16 inner indices shares a tile of 32 with another. For finite operands the results have the bits of
// dense products.
struct BlockMask {
  int block_rows = 0, block_columns = 0;  // multiples of 16; the last block of a row or column may be partial
  int rows = 0, columns = 0;              // blocks: ⌈n / block_rows⌉ and ⌈k / block_columns⌉
  std::vector<uint8_t> kept;              // [rows][columns], 0 or 1

  bool Keeps(int row, int column) const { return kept[static_cast<size_t>(row) * columns + column] != 0; }
};

struct LinearShape {
  int64_t rows = 0;  // may be 0
  int n = 0, k = 0;  // positive
  Precision precision = Precision::kF32;
  const BlockMask* mask = nullptr;  // null: dense
};

// Not thread-safe: one caller at a time, whose loops the pool shares. Holds the packing scratch of each precision that
// it meets: up to 4 MB, and up to 2 MB a thread. No matrix may overlap the one that is written.
class LinearProducts {
 public:
  // `threads` outlives this. The instruction set is LODESTONE_ISA's or the best, as kernels/dispatch.h chooses.
  static Result<std::unique_ptr<LinearProducts>> Make(ThreadPool& threads);
  // As `Select(isa)` chooses.
  static Result<std::unique_ptr<LinearProducts>> Make(ThreadPool& threads, std::string_view isa);
  virtual ~LinearProducts() = default;

  // y[r][y_stride] = multiplier × (x[r][x_stride] · w[n][k]ᵀ) + bias[n]; bias may be null.
  virtual void Forward(const LinearShape& shape, const float* x, int64_t x_stride, const float* w, const float* bias,
                       float multiplier, float* y, int64_t y_stride) = 0;
  // dx[r][dx_stride] = (multiplier × dy[r][dy_stride]) · w[n][k]; where `accumulate`, the sums begin with dx.
  virtual void BackwardInput(const LinearShape& shape, const float* dy, int64_t dy_stride, const float* w,
                             float multiplier, bool accumulate, float* dx, int64_t dx_stride) = 0;
  // dw[n][k] += (multiplier × dy[r][dy_stride])ᵀ · x[r][x_stride], sums that begin with dw; db[n] += Σ_r multiplier ×
  // dy in f32, where db is not null, over ascending rows.
  virtual void BackwardWeight(const LinearShape& shape, const float* dy, int64_t dy_stride, const float* x,
                              int64_t x_stride, float multiplier, float* dw, float* db) = 0;

  virtual std::string_view isa() const = 0;
};

}  // namespace lodestone::kernels
