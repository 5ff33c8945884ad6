// The matrix products of training in plain C++ over small blocks: tiles of AMX, and tiles two vectors wide.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "cases.h"
#include "kernels/gemm/gemm_table.h"

namespace lodestone::kernels {
namespace {

namespace emulated {

#include "kernels/reference/lanes.inc"
//
#include "kernels/rows/vectors.inc"
//
#include "kernels/reference/transpose.inc"
//
#include "kernels/emulated_tiles.inc"
//
#include "kernels/emulated_bf16_tiles.inc"
//
#include "kernels/gemm/finish.inc"
//
#include "kernels/amx/gemm.inc"

}  // namespace emulated

namespace wide {

#include "kernels/reference/lanes.inc"
//
#include "kernels/rows/vectors.inc"
//
#include "kernels/reference/transpose.inc"
//
#include "kernels/matmul/blocks.inc"
//

constexpr int kGemmRows = 3;
constexpr int kGemmVectors = 2;

#include "kernels/gemm/finish.inc"
#include "kernels/gemm/pack.inc"
//
#include "kernels/gemm/tile.inc"
//
#include "kernels/gemm/vector_kernels.inc"

}  // namespace wide

// Blocks of 64 depths, four panels of A and five of B, two of them near.
GemmKernels WithSmallBlocks(GemmKernels kernels) {
  kernels.block_depth = 64;
  kernels.a_bytes = int64_t{4} * 64 * kernels.tile_rows * kernels.lane_bytes;
  kernels.b_bytes = int64_t{5} * 64 * kernels.tile_columns * kernels.lane_bytes;
  kernels.near_bytes = int64_t{2} * 64 * kernels.tile_columns * kernels.lane_bytes;
  return kernels;
}
const GemmKernels kWideF32 = WithSmallBlocks(wide::VectorKernels(false, 64, 0, 0, 0));
const GemmKernels kWideBf16 = WithSmallBlocks(wide::VectorKernels(true, 64, 0, 0, 0));
const GemmTable kWideGemm = {"wide", kWideF32, kWideBf16};
const GemmTable kEmulatedGemm = {"emulated", kWideF32, WithSmallBlocks(emulated::kTileKernels)};

}  // namespace
}  // namespace lodestone::kernels
