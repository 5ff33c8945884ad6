// The reference: what every other instruction set must equal bit for bit. Plain loops, one output at a time, compiled
// for any x86-64 processor; integer sums in 64 bits, floating-point products by fused multiply-add (a library call
// here).
#include <cstddef>
#include <cstdint>

#include "kernels/kernel_table.h"
#include "kernels/tables.h"

namespace lodestone::kernels {
namespace {

#include "kernels/reference/lanes.inc"
//
#include "kernels/rows/vectors.inc"
//
#include "kernels/rows/exp.inc"
//
#include "kernels/reference/kv_dots.inc"
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
#include "kernels/reference/matmul.inc"

}  // namespace

const KernelTable kReferenceTable = {
    "reference", MatmulF32, MatmulBf16, MatmulBf16Int4, MatmulBf16Int8, MatmulInt8Int4, MatmulInt8Int8, Norm,
    Quantize,    ToBf16,    Add,        Gate,           Rope,           Attend,
};

}  // namespace lodestone::kernels
