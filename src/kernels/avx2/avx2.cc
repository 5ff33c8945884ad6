// Kernels for AVX2, FMA and F16C. Nothing here but one table is visible to other files.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/kernel_table.h"
#include "kernels/tables.h"

namespace lodestone::kernels {
namespace {

#include "kernels/avx2/lanes.inc"
//
#include "kernels/rows/vectors.inc"
//
#include "kernels/rows/exp.inc"
//
#include "kernels/avx2/kv_dots.inc"
//
#include "kernels/rows/attend_products.inc"
//
#include "kernels/rows/attend_formats.inc"
//
#include "kernels/rows/attend.inc"
#include "kernels/rows/convert.inc"
#include "kernels/rows/gate.inc"
#include "kernels/rows/norm.inc"
//
#include "kernels/matmul/blocks.inc"
//

// Rows a block, and panels that fill 16 registers with it: a row takes two sums a panel.
constexpr int kFloatRows = 6;
constexpr int kDecodingRows = 4;  // words and what decodes them take registers too
constexpr int kFloatPanels(int rows) { return rows >= 3 ? 1 : (rows == 2 ? 2 : 4); }

#include "kernels/matmul/float.inc"
//
#include "kernels/avx2/dots.inc"
//
#include "kernels/matmul/int.inc"

void MatmulInt8Int4(const MatmulArgs& a) { RunInt<Int4Dots>(a); }
void MatmulInt8Int8(const MatmulArgs& a) { RunInt<Int8Dots>(a); }

}  // namespace

const KernelTable kAvx2Table = {
    "avx2",   MatmulF32, MatmulBf16, MatmulBf16Int4, MatmulBf16Int8, MatmulInt8Int4, MatmulInt8Int8, Norm,
    Quantize, ToBf16,    Add,        Gate,           Rope,           Attend,
};

}  // namespace lodestone::kernels
