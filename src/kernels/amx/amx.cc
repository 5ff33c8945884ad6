// The two integer matmuls on AMX tiles. Nothing here but one pair of functions is visible to other files.
//
// The other kernels of this instruction set are those of AVX-512. AMX multiplies bf16 as well, but adds two products at
// a time, in an order and with a rounding of its own: its bits are not those of one multiply-add an input in order of
// k, which all other instruction sets share (kernel_table.h), so bf16 stays on vectors.
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
#include "kernels/matmul/blocks.inc"
//
#include "kernels/amx/tiles.inc"
//
#include "kernels/amx/unpack.inc"
//
#include "kernels/amx/matmul.inc"

// A tile product costs the same for few rows as for many. With 4 rows, AVX-512 multiplies 128 int4 weights in about 7
// cycles, unpacking included, and memory delivers them in 13; from 5 rows on, tiles need less.
constexpr int kFewestRows = 5;

void MatmulInt8Int4(const MatmulArgs& a) {
  if (a.rows < kFewestRows) return kAvx512Table.matmul_int8_int4(a);
  a.w_groups != nullptr ? MultiplyOnTiles<Int4Tiles<true>>(a) : MultiplyOnTiles<Int4Tiles<false>>(a);
}
void MatmulInt8Int8(const MatmulArgs& a) {
  if (a.rows < kFewestRows) return kAvx512Table.matmul_int8_int8(a);
  MultiplyOnTiles<Int8Tiles>(a);
}

}  // namespace

const TileMatmuls kAmxMatmuls = {MatmulInt8Int4, MatmulInt8Int8};

}  // namespace lodestone::kernels
