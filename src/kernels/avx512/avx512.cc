// Kernels for AVX-512 F, BW, VL, DQ and VNNI. Nothing here but one table is visible to other files.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/kernel_table.h"
#include "kernels/tables.h"

namespace lodestone::kernels {
namespace {

#include "kernels/avx512/lanes.inc"
//
#include "kernels/rows/vectors.inc"
//
#include "kernels/rows/exp.inc"
//
#include "kernels/avx512/kv_dots.inc"
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

// Panels a block of rows. A multiply-add takes 4 cycles and one or two start in each: at least 8 independent sums keep
// the units busy, and 16 sums with 4 weights stay in 32 registers.
constexpr int kFloatRows = 8;
constexpr int kDecodingRows = 8;
constexpr int kFloatPanels(int rows) { return rows > 4 ? 2 : 4; }

#include "kernels/matmul/float.inc"
//
#include "kernels/avx512/dots.inc"
//
#include "kernels/matmul/int.inc"

void MatmulInt8Int4(const MatmulArgs& a) { RunInt<Int4Dots>(a); }
void MatmulInt8Int8(const MatmulArgs& a) { RunInt<Int8Dots>(a); }

}  // namespace

const KernelTable kAvx512Table = {
    "avx512", MatmulF32, MatmulBf16, MatmulBf16Int4, MatmulBf16Int8, MatmulInt8Int4, MatmulInt8Int8, Norm,
    Quantize, ToBf16,    Add,        Gate,           Rope,           Attend,
};

}  // namespace lodestone::kernels
