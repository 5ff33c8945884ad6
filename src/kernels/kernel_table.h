// What an instruction-set file exports: one constant table of plain functions over plain data.
//
// This is the one header that files compiled with instruction-set flags include, so it holds no inline function and no
// template: nothing compiled with AVX-512 may leak into code that runs without it.
//
// Bits. Integer matmuls are exact. Floating-point matmuls accumulate each output over k = 0, 1, 2, … with one fused
// multiply-add per input into one f32 accumulator (vectors run over outputs), so every instruction set, row count and
// thread count gives the same bits. Row operators sum in 16 lanes (lane i takes elements i, i + 16, …), then fold 8, 4,
// 2, 1.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lodestone::kernels {

// Y[r][o] = multiplier × value(X[r] · W[o]) + bias[o] for the panels [panel_begin, panel_end) of a PackedMatrix.
//   f32, bf16           value = Σ x w
//   bf16·int4, bf16·int8  value = w_scale[o] × Σ x (multiplier × code)
//   int8·int4, int8·int8  value = (float)(Σ xcode × multiplier × code) × (x_scale[r] × w_scale[o])
// Group multipliers go with int4 weights alone; w_groups is ignored by the others. Codes of x lie in ±127.
struct MatmulArgs {
  const void* x;            // rows of f32, bf16 or int8 codes; integer rows are zero up to k_padded
  int64_t x_stride;         // elements from row to row
  const float* x_scales;    // [rows] for integer x
  int64_t x_scales_stride;  // 1, or 0 when one static scale serves all rows
  const void* w;            // packed codes of panel 0
  const float* w_scales;    // [panels × 16] or null
  const uint8_t* w_groups;  // group multipliers [panel][k_padded / group, rounded up][16], or null
  const float* bias;        // [n] or null
  float* y;                 // [rows][y_stride]
  int64_t y_stride;         // elements
  float multiplier;         // logits scaling; 1 otherwise (then not applied)
  int32_t rows, n, k, k_padded, group;
  int32_t panel_begin, panel_end;
};
using MatmulFn = void (*)(const MatmulArgs&);

// One row: y = x / rms(x) × weight (rms over n, + eps), or LayerNorm with weight and bias. y may be x.
struct NormArgs {
  const float* x;
  float* y;
  const float* weight;  // [n]
  const float* bias;    // [n] or null (LayerNorm only)
  float eps;
  int32_t n;
  bool layer_norm;  // false: RMSNorm
};
using NormFn = void (*)(const NormArgs&);

// One row of n values to integer codes, zero-filled to n_padded.
// Dynamic: *scale = max|x| / max_code; 0 with zero codes for a zero row or one whose scale would be subnormal; NaN with
// zero codes for a row that holds an infinity or a NaN, so that what follows is NaN and not plausible. Static: *scale
// is read; a scale that is not a positive normal number gives zero codes, and NaN becomes −max_code.
struct QuantizeArgs {
  const float* x;
  int8_t* codes;
  float* scale;
  int32_t n, n_padded;
  float max_code;
  bool is_static;
};
using QuantizeFn = void (*)(const QuantizeArgs&);

// y[i] = bf16(x[i]) (round to nearest even).
using ToBf16Fn = void (*)(const float* x, uint16_t* y, int32_t n);
// stream[i] = stream[i] + multiplier × x[i], rounded to bf16 (and kept as f32) when `round_bf16`.
using AddFn = void (*)(float* stream, const float* x, float multiplier, int32_t n, bool round_bf16);

enum class Activation : uint8_t { kSilu, kGeluTanh, kGeluErf };
// out[i] = act(gate[i]) × up[i], or act(gate[i]) when up is null.
using GateFn = void (*)(const float* gate, const float* up, float* out, int32_t n, Activation act);

// Rotates pairs (x[i], x[i + rotary/2]) of each head by the angles whose cosines and sines are given, in place.
struct RopeArgs {
  float* x;              // [heads][head_dim]
  const float* cos_sin;  // [rotary/2] cosines then [rotary/2] sines, of this row's position
  int32_t heads, head_dim, rotary_dim;
};
using RopeFn = void (*)(const RopeArgs&);

// K and V of kBlockTokens consecutive positions of one sequence, one layer and one KV head, in the layout of
// kv_layout.h.
inline constexpr int32_t kBlockTokens = 64;
struct KvBlock {
  const void* k;
  const void* v;
  const float* k_scales;  // [64], or null for floating point
  const float* v_scales;
};

enum class KvCode : uint8_t { kF32, kBf16, kInt8, kInt4 };

// A tile's part of the work, for a tile that is cut over its blocks. Any order of blocks and any cut gives the bits of
// kAll.
enum class AttendStep : uint8_t {
  kAll,         // everything
  kStatistics,  // only with a static p_scale, first: maxima and sums of blocks [block_begin, block_end) to `partials`
  kBlocks,      // results of blocks [block_begin, block_end) to `partials`
  kMerge,       // `partials` to `out`
};

// Attention of a tile: `rows` consecutive positions of one sequence times the `heads` query heads that share one KV
// head. Row r sees the positions [first, end) with end = context + r and first = 0, or end − window if that is larger.
//
// Blocks are aligned to absolute positions, and each is complete in itself: with m the largest score of its visible
// positions,
//   s_t = scale × (q · k_t);  e_t = exp(s_t − m);  l = Σ e_t;  o = Σ e_t v_t
// Blocks merge in order, with M the largest m so far (S. Rabe and C. Staats, Self-attention does not need O(n²) memory,
// 2021):
//   α = exp(M_old − M), β = exp(m − M);  L = α L + β l;  out = α out + β o
// and at the end out / L. So K and V are read once, scores live for one block, and the bits of a row depend neither on
// its tile nor on the cut of its sequence.
//
// Floating point: q · k and Σ e v each take one fused multiply-add a term, in order, into an f32 that starts at zero.
// For kBf16, e_t is rounded to bf16 before it meets V (not in l). For integers q are codes, both products are exact,
// and each block's weights are quantised to codes 0..p_max:
//   dynamic  u_t = e_t × v_scale_t, step = max u / p_max, code = round(u_t / step), o = (Σ code × vcode) × step
//   static   first a walk for M and L; then p_t = exp(s_t − M) / L, code = round(p_t / p_scale), at most p_max, and
//            out += (Σ code × vcode) × (p_scale × v_scale); all v_scales are equal
// What lies outside a row's positions may be anything and does not matter; blocks before the first row's first may be
// null. Where a score is NaN, or infinite as the largest of its block, the whole row of that head is NaN.
struct AttendArgs {
  const void* q;            // [rows][heads][head_dim] f32 (kF32), bf16 (kBf16) or int8 codes in ±127
  int64_t q_stride;         // elements from row to row
  const float* q_scales;    // [rows][heads] for integers
  int64_t q_scales_stride;  // from row to row
  const KvBlock* blocks;    // block b holds positions 64 b .. 64 b + 63
  KvCode code;
  int32_t rows, heads, head_dim;
  int32_t context;  // positions that row 0 sees end here
  int32_t window;   // 0: no bound
  float scale;
  float p_max;    // 255 or 15; integers only
  float p_scale;  // static step of P, or 0 for dynamic; integers only
  float* out;     // [rows][heads][head_dim]
  int64_t out_stride;
  float* scratch;  // [kAttendLanes + 1][head_dim rounded up to 16]; contents do not matter
  AttendStep step;
  int32_t block_begin, block_end;  // kStatistics and kBlocks; absolute, within the blocks that the tile sees
  float* partials;  // [blocks that the tile sees][rows × heads × (2 + head_dim rounded up to 16)]; not for kAll
};
using AttendFn = void (*)(const AttendArgs&);

// Query rows times heads that a tile works on at a time: enough that a block of K and V is used often for one reading,
// few enough that the queries of 128 elements stay in a cache of 32 KB beside them. Larger tiles are cut.
inline constexpr int32_t kAttendLanes = 32;

struct KernelTable {
  const char* isa;  // "reference", "avx2", "avx512", "amx"
  MatmulFn matmul_f32;
  MatmulFn matmul_bf16;
  MatmulFn matmul_bf16_int4;
  MatmulFn matmul_bf16_int8;
  MatmulFn matmul_int8_int4;
  MatmulFn matmul_int8_int8;
  NormFn norm;
  QuantizeFn quantize;
  ToBf16Fn to_bf16;
  AddFn add;
  GateFn gate;
  RopeFn rope;
  AttendFn attend;
};

}  // namespace lodestone::kernels
