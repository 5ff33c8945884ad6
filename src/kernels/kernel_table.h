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

// K and V of kBlockTokens consecutive positions of one sequence, one layer and one KV head.
inline constexpr int32_t kBlockTokens = 64;
struct KvBlock {
  const void* k;          // [64][head_dim] f32, bf16 or int8 codes (int4 codes are held one a byte)
  const void* v;          // likewise
  const float* k_scales;  // [64], or null for floating point
  const float* v_scales;
};

enum class KvCode : uint8_t { kF32, kBf16, kInt };

// Attention of one row: the `heads` query heads that share one KV head, over positions [first, context) of its
// sequence.
//   s_t = scale × (q · k_t);  p_t = exp(s_t − max s) / Σ exp;  out = Σ_t p_t v_t, blocks merged in order.
// Blocks are aligned to absolute positions; each block's sum starts at zero and is then added to `out`. For kBf16, p_t
// is rounded to bf16 before it meets V; all sums are f32. For kInt, q are codes, the dot product is exact, and P is
// quantised block by block to codes 0..p_max so that each block's P·V is exact in int32:
//   dynamic  u_t = p_t × v_scale_t, block scale s = max u / p_max, code = round(u_t / s), value = code × s × vcode
//   static   code = round(p_t / p_scale), at most p_max, value = code × (p_scale × v_scale) × vcode; all v_scales are
//   equal
// Nothing of a position outside [first, context) is read, except its scales, whose values do not matter; blocks before
// `first` may be null. A NaN among the scores makes the whole head NaN.
struct AttendArgs {
  const void* q;          // [heads][head_dim] f32 (kF32), bf16 (kBf16) or int8 (kInt)
  const float* q_scales;  // [heads], or stride 0 static
  int32_t q_scales_stride;
  const KvBlock* blocks;  // block b holds positions 64 b .. 64 b + 63
  KvCode code;
  int32_t heads, head_dim;
  int32_t first, context;  // first > 0 for a sliding window
  float scale;
  float p_max;     // 255 or 15; kInt only
  float p_scale;   // static scale of P, or 0 for dynamic; kInt only
  float* out;      // [heads][head_dim]
  float* scratch;  // [context rounded up to 64]; contents do not matter
};
using AttendFn = void (*)(const AttendArgs&);

struct KernelTable {
  const char* isa;  // "reference", "avx2", "avx512"
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
