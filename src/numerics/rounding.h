// Conversions and the one rounding rule: to nearest, ties to even. Inline: kernels and reference share these bits.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace lodestone {

using Bf16 = uint16_t;  // bits of a bfloat16

inline float Bf16ToFloat(Bf16 x) { return std::bit_cast<float>(static_cast<uint32_t>(x) << 16); }

// Round to nearest even; NaN stays NaN (made quiet).
inline Bf16 FloatToBf16(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<Bf16>((bits >> 16) | 0x40u);
  return static_cast<Bf16>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

float F16ToFloat(uint16_t bits);
uint16_t FloatToF16(float x);

// Adding and subtracting 1.5 × 2²³ rounds |x| ≤ 2²² to an integer, ties to even, on every instruction set alike.
inline float RoundToEven(float x) {
  constexpr float kMagic = 12582912.0f;
  return (x + kMagic) - kMagic;
}

// Code of x at `inverse_scale`, clamped to ±max_code. Both comparisons are false for NaN, which becomes −max_code.
inline int8_t QuantizeValue(float x, float inverse_scale, float max_code) {
  float y = x * inverse_scale;
  y = y > -max_code ? y : -max_code;
  y = y < max_code ? y : max_code;
  return static_cast<int8_t>(RoundToEven(y));
}

}  // namespace lodestone
