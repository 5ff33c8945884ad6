// The matrix products of training in plain loops: the same tiles and panels over lanes of reference/lanes.inc, small
// blocks, compiled for any processor.
#include <cstddef>
#include <cstdint>

#include "kernels/gemm/gemm_table.h"
#include "kernels/kernel_table.h"

namespace lodestone::kernels {
namespace {

#include "kernels/reference/lanes.inc"
//
#include "kernels/rows/vectors.inc"
//
#include "kernels/reference/transpose.inc"
//
#include "kernels/matmul/blocks.inc"
//

constexpr int kGemmRows = 4;
constexpr int kGemmVectors = 1;

#include "kernels/gemm/finish.inc"
#include "kernels/gemm/pack.inc"
//
#include "kernels/gemm/tile.inc"
//
#include "kernels/gemm/vector_kernels.inc"

constexpr int kBlockDepth = 256;
constexpr int64_t kABytes = 256 << 10, kBBytes = 1 << 20, kNearBytes = 128 << 10;

}  // namespace

const GemmTable kReferenceGemm = {"reference", VectorKernels(false, kBlockDepth, kABytes, kBBytes, kNearBytes),
                                  VectorKernels(true, kBlockDepth, kABytes, kBBytes, kNearBytes)};

}  // namespace lodestone::kernels
