// C = A B in blocks that suit the caches, over the packed panels and register tiles of an instruction set.
//
//   letters: m rows of C, n columns, k depths (the inner index).
//
// Blocking follows K. Goto and R. van de Geijn, Anatomy of high-performance matrix multiplication, 2008, and F. Van Zee
// and R. van de Geijn, BLIS, 2015, with the vectors along rows of C: all threads pack panels of B over a block of
// depths once, each thread packs the panels of A that it multiplies; some panels of B stay in its second-level cache
// while those of A pass, and each panel of A stays in the first-level cache while these panels of B pass. Each sum runs
// over ascending depths in one f32 accumulator, which waits in C between blocks of depths: neither the blocking nor the
// threads, which share rows and columns but not depths, touch the bits.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "host/thread_pool.h"
#include "kernels/gemm/gemm_table.h"
#include "kernels/gemm/panels.h"
#include "kernels/linear_products.h"
#include "numerics/aligned_buffer.h"

namespace lodestone::kernels {

// Element (i, d) of A, or (d, i) of B: data[i × stride + d] where depths are contiguous, else data[d × stride + i].
struct GemmOperand {
  const float* data;
  int64_t stride;
  bool depth_contiguous;
};

// Where the mask's rows and columns of blocks lie in the product.
enum class MaskAxes : uint8_t {
  kColumnsByDepth,  // B is Wᵀ: dropped blocks are not multiplied
  kDepthByColumns,  // B is W
  kRowsByColumns,   // C is dW: dropped blocks are not written
};

struct GemmArgs {
  int64_t m, n, k;
  GemmOperand a, b;
  float a_scale;  // every element of A is multiplied by it before it is rounded and multiplied; 1: nothing changes
  float* c;
  int64_t c_stride;
  bool accumulate;    // sums begin with C; else with zero
  float multiplier;   // of the finished sums
  const float* bias;  // [n] or null, added last
  const BlockMask* mask;
  MaskAxes axes;
};

class Gemm {
 public:
  // `threads` outlives this.
  Gemm(ThreadPool& threads, const GemmKernels& kernels);

  void Multiply(const GemmArgs& g);

 private:
  // A packed panel of B: its lanes over the kept depths of the block.
  struct Packed {
    int64_t offset = 0;  // bytes into b_
    int32_t first_run = 0, runs = 0;
  };
  struct Block {
    Panels rows, columns;
    int64_t first_column, last_column;  // panels
    int64_t depth, depth_end;
  };

  struct DepthMask;

  void PlanBlock(const GemmArgs& g, Block& block);
  int64_t PlanColumns(const GemmArgs& g, const Block& block);
  int64_t AppendRuns(const DepthMask& mask, int64_t column_unit, const Block& block);
  void PackColumns(const GemmArgs& g, const Block& block, int64_t panel, Range slice);
  void PackRows(const GemmArgs& g, const Block& block, int64_t panel, Range slice, std::byte* to) const;
  void MultiplyPiece(const GemmArgs& g, const Block& block, Range rows, Range columns, int thread);
  void MultiplyPanel(const GemmArgs& g, const Block& block, int64_t row, Range columns, const std::byte* a) const;

  ThreadPool& threads_;
  GemmKernels kernels_;
  AlignedBuffer b_;               // panels of B, shared
  std::vector<AlignedBuffer> a_;  // panels of A, one a thread
  std::vector<Packed> packed_;    // of the block's columns
  std::vector<GemmRun> runs_;
};

// The products on a table that need not be one of the dispatcher's.
std::unique_ptr<LinearProducts> MakeLinearProducts(ThreadPool& threads, const GemmTable& table);

}  // namespace lodestone::kernels
