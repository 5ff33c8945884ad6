// The tables that the instruction-set files export, one each. Private to this folder and its tests.
#pragma once

#include "kernels/kernel_table.h"

namespace lodestone::kernels {

extern const KernelTable kReferenceTable;
extern const KernelTable kAvx2Table;
extern const KernelTable kAvx512Table;

// What AMX adds to the AVX-512 table.
struct TileMatmuls {
  MatmulFn int8_int4, int8_int8;
};
extern const TileMatmuls kAmxMatmuls;

}  // namespace lodestone::kernels
