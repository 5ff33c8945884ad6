// The matrix products of training for AVX-512. Nothing here but one table is visible to other files.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/gemm/gemm_table.h"
#include "kernels/kernel_table.h"

namespace lodestone::kernels {
namespace {

#include "kernels/avx512/lanes.inc"
//
#include "kernels/rows/vectors.inc"
//
#include "kernels/avx512/transpose.inc"
//
#include "kernels/matmul/blocks.inc"
//

// 14 × 32: 28 sums, 2 vectors of B and an element of A in 32 registers; 16 loads to 28 multiply-adds, of two each a
// cycle.
constexpr int kGemmRows = 14;
constexpr int kGemmVectors = 2;

#include "kernels/gemm/finish.inc"
#include "kernels/gemm/pack.inc"
//
#include "kernels/gemm/tile.inc"
//
#include "kernels/gemm/vector_kernels.inc"

// For first-level caches of 48 KB and second-level ones of 1 MB and more: a panel of A of 384 depths is 21 KB and stays
// while panels of B, 48 KB each, pass from 512 KB, 128 bytes every 14 cycles.
constexpr int kBlockDepth = 384;
constexpr int64_t kABytes = 2 << 20, kBBytes = 4 << 20, kNearBytes = 512 << 10;

}  // namespace

const GemmTable kAvx512Gemm = {"avx512", VectorKernels(false, kBlockDepth, kABytes, kBBytes, kNearBytes),
                               VectorKernels(true, kBlockDepth, kABytes, kBBytes, kNearBytes)};

}  // namespace lodestone::kernels
