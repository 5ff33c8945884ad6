// F32, F16, BF16: plain numbers.
#include <bit>
#include <cstring>

#include "model/gguf_blocks.h"
#include "numerics/rounding.h"

namespace lodestone {
namespace {

template <typename Bits, typename Convert>
void ExpandAs(const std::byte* in, int64_t values, float* out, Convert convert) {
  for (int64_t i = 0; i < values; ++i) {
    Bits bits;
    std::memcpy(&bits, in + i * static_cast<int64_t>(sizeof bits), sizeof bits);
    out[i] = convert(bits);
  }
}

// F16ToFloat without branches, so that the loop vectorises: the shifted magnitude times 2^112 moves the exponent's bias
// from 15 to 127 and makes subnormals normal; infinities and NaNs get back the exponent that they lose.
float F16ToFloatFlat(uint16_t bits) {
  const uint32_t magnitude = (bits & 0x7fffu) << 13;
  const uint32_t scaled = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) * 0x1p112f);
  const uint32_t special = magnitude >= 0x0f800000u ? 0x7f800000u : 0u;
  return std::bit_cast<float>(scaled | special | (static_cast<uint32_t>(bits & 0x8000u) << 16));
}

}  // namespace

void ExpandF32(const std::byte* in, int64_t values, float* out) {
  std::memcpy(out, in, static_cast<size_t>(values) * sizeof(float));
}

void ExpandF16(const std::byte* in, int64_t values, float* out) { ExpandAs<uint16_t>(in, values, out, F16ToFloatFlat); }

void ExpandBf16(const std::byte* in, int64_t values, float* out) { ExpandAs<Bf16>(in, values, out, Bf16ToFloat); }

}  // namespace lodestone
