// The bf16 products of training on AMX tiles. Nothing here but one constant is visible to other files.
//
// Tiles add pairs of products, so these bits are not those of the other instruction sets (kernel_table.h); f32 has no
// tiles and is AVX-512's.
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
#include "kernels/amx/tiles.inc"
//
#include "kernels/amx/bf16_tiles.inc"
//
#include "kernels/gemm/finish.inc"
//
#include "kernels/amx/gemm.inc"

}  // namespace

const GemmKernels kAmxBf16Gemm = kTileKernels;

}  // namespace lodestone::kernels
