// Conversions and the one rounding rule: to nearest, ties to even. Inline: kernels and reference share these bits.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <span>

namespace lodestone {

using Bf16 = uint16_t;  // bits of a bfloat16

inline float Bf16ToFloat(Bf16 x) { return std::bit_cast<float>(static_cast<uint32_t>(x) << 16); }

// Round to nearest even; NaN stays NaN (made quiet).
inline Bf16 FloatToBf16(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<Bf16>((bits >> 16) | 0x40u);
  return static_cast<Bf16>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

// IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 mantissa bits. Read as an f32 of the same fields the exponent is
// 112 too small, and one exact product mends that, subnormals included; no branch, so that loops vectorise.
inline float F16ToFloat(uint16_t bits) {
  const uint32_t magnitude = static_cast<uint32_t>(bits & 0x7fffu) << 13;
  uint32_t value = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) * 0x1p112f);
  value |= magnitude >= 0x0f800000u ? 0x7f800000u : 0;  // infinity and NaN, which is made quiet
  value |= magnitude > 0x0f800000u ? 0x00400000u : 0;
  return std::bit_cast<float>(value | (static_cast<uint32_t>(bits & 0x8000u) << 16));
}
uint16_t FloatToF16(float x);

// Adding and subtracting 1.5 × 2²³ rounds |x| ≤ 2²² to an integer, ties to even, on every instruction set alike.
inline float RoundToEven(float x) {
  constexpr float kMagic = 12582912.0f;
  return (x + kMagic) - kMagic;
}

// The largest magnitude, NaN or infinity where there is one: magnitudes order as their bits do, and a NaN lies above
// infinity, so that one integer maximum, which vectorises, is also the check for non-finite values. 0 of nothing.
inline float LargestMagnitude(std::span<const float> values) {
  int32_t bits = 0;
  for (const float value : values) {
    const int32_t magnitude = std::bit_cast<int32_t>(value) & 0x7fffffff;
    bits = bits > magnitude ? bits : magnitude;
  }
  return std::bit_cast<float>(bits);
}

// Code of x at `inverse_scale`, clamped to ±max_code. Both comparisons are false for NaN, which becomes −max_code.
inline int8_t QuantizeValue(float x, float inverse_scale, float max_code) {
  float y = x * inverse_scale;
  y = y > -max_code ? y : -max_code;
  y = y < max_code ? y : max_code;
  return static_cast<int8_t>(RoundToEven(y));
}

}  // namespace lodestone
