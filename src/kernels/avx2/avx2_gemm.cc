// The matrix products of training for AVX2 and FMA. Nothing here but one table is visible to other files.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/gemm/gemm_table.h"
#include "kernels/kernel_table.h"

namespace lodestone::kernels {
namespace {

#include "kernels/avx2/lanes.inc"
//
#include "kernels/rows/vectors.inc"
//
#include "kernels/avx2/transpose.inc"
//
#include "kernels/matmul/blocks.inc"
//

// 6 × 16: 12 sums in 16 registers. A multiply-add takes 4 cycles and two start in each, so 8 sums would do; loads
// decide: 6 rows and 2 vectors, 8 loads to 12 multiply-adds, of two each a cycle.
constexpr int kGemmRows = 6;
constexpr int kGemmVectors = 1;

#include "kernels/gemm/finish.inc"
#include "kernels/gemm/pack.inc"
//
#include "kernels/gemm/tile.inc"
//
#include "kernels/gemm/vector_kernels.inc"

// For first-level caches of 32 KB and second-level ones of 512 KB: a panel of A of 384 depths is 9 KB and stays while
// panels of B, 24 KB each, pass from 256 KB, 64 bytes every 6 cycles. The other order, which walks down the columns of
// C and keeps a panel of B, is 4 % slower on Zen 3: every row of C is another page.
constexpr int kBlockDepth = 384;
constexpr int64_t kABytes = 1 << 20, kBBytes = 3 << 20, kNearBytes = 256 << 10;

}  // namespace

const GemmTable kAvx2Gemm = {"avx2", VectorKernels(false, kBlockDepth, kABytes, kBBytes, kNearBytes),
                             VectorKernels(true, kBlockDepth, kABytes, kBBytes, kNearBytes)};

}  // namespace lodestone::kernels
