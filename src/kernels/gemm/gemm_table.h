// What an instruction-set file exports for the matrix products of training: how panels are packed and how one register
// tile is multiplied. Plain functions over plain data, as kernel_table.h says and for its reasons.
//
//   C[m][n] = Σ_d A[m][d] B[d][n]. A *panel* holds up to `tile_rows` rows of A, or up to `tile_columns` columns of B,
//   over a block of depths, as the tile function reads them. A *lane* is a row of A or a column of B.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lodestone::kernels {

// Element (lane, d) of the operand is from[lane × stride + d] where depths are contiguous, else from[d × stride +
// lane].
struct GemmPack {
  const float* from;
  int64_t stride;
  bool depth_contiguous;
  int32_t lanes;  // that exist, at most the panel's; the others are packed as zero or left out of the product
  int32_t depth;  // padded with zeros to a multiple of the grain
  float scale;    // every element is multiplied by it first
  void* to;
};

// Depths [begin, end) of a block, multiples of the grain. A's panel holds every depth of the block; B's holds only its
// runs, one after the other.
struct GemmRun {
  int32_t begin, end;
};

// One register tile: sums in order of depth, from zero or from what C holds.
struct GemmTile {
  const void* a;
  const void* b;
  const GemmRun* runs;
  int32_t run_count;  // 0: nothing is added
  int32_t rows, columns;
  float* c;
  int64_t c_stride;
  bool resume;        // the sums begin with C; else with zero
  float multiplier;   // C = multiplier × sum + bias; 1: not applied
  const float* bias;  // [columns], or null: not added
};

struct GemmKernels {
  int32_t tile_rows, tile_columns;
  int32_t grain;        // depths that the tile function takes at a time; divides 32
  int32_t lane_bytes;   // of one lane and depth in a panel
  int32_t block_depth;  // so that a panel of A stays in the first-level cache
  int64_t a_bytes;      // panels of A that a thread packs at a time
  int64_t b_bytes;      // panels of B that all threads pack at a time and share
  int64_t near_bytes;   // of those, what stays in a core's second-level cache
  void (*pack_a)(const GemmPack&);
  void (*pack_b)(const GemmPack&);
  void (*multiply)(const GemmTile&);
  // What a thread calls before its first tile and after its last; null: nothing. AMX configures its tile registers.
  void (*open)();
  void (*close)();
};

struct GemmTable {
  const char* isa;
  GemmKernels f32, bf16;
};

extern const GemmTable kReferenceGemm;
extern const GemmTable kAvx2Gemm;
extern const GemmTable kAvx512Gemm;
extern const GemmKernels kAmxBf16Gemm;  // its f32 is that of AVX-512

}  // namespace lodestone::kernels
