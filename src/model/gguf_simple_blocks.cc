// Q4_0, Q4_1, Q5_0, Q5_1, Q8_0: 32 values, one scale.
#include <cstring>

#include "model/gguf_blocks.h"
#include "numerics/rounding.h"

namespace lodestone {
namespace {

constexpr int64_t kValues = 32, kHalf = kValues / 2;

float ReadF16(const uint8_t* in) { return F16ToFloat(static_cast<uint16_t>(in[0] | in[1] << 8)); }

// kBits: 4 or 5. kOffset: an f16 is added; without one the codes are centred at half their range.
template <int kBits, bool kOffset>
void ExpandPacked(const std::byte* in, int64_t blocks, float* out) {
  constexpr int64_t kHeader = kOffset ? 4 : 2, kHigh = kBits == 5 ? 4 : 0, kBytes = kHeader + kHigh + kHalf;
  constexpr int kCentre = kOffset ? 0 : 1 << (kBits - 1);
  const auto* block = reinterpret_cast<const uint8_t*>(in);
  for (int64_t b = 0; b < blocks; ++b, block += kBytes, out += kValues) {
    const float scale = ReadF16(block);
    const float offset = kOffset ? ReadF16(block + 2) : 0.0f;
    const uint8_t* codes = block + kHeader + kHigh;
    uint32_t high = 0;
    if constexpr (kBits == 5) std::memcpy(&high, block + kHeader, sizeof high);
    for (int64_t i = 0; i < kHalf; ++i) {
      int low_code = codes[i] & 15, high_code = codes[i] >> 4;
      if constexpr (kBits == 5) {
        low_code |= static_cast<int>((high >> i) & 1u) << 4;
        high_code |= static_cast<int>((high >> (i + kHalf)) & 1u) << 4;
      }
      const float low_value = static_cast<float>(low_code - kCentre) * scale;
      const float high_value = static_cast<float>(high_code - kCentre) * scale;
      out[i] = kOffset ? low_value + offset : low_value;
      out[i + kHalf] = kOffset ? high_value + offset : high_value;
    }
  }
}

}  // namespace

void ExpandQ4_0(const std::byte* in, int64_t blocks, float* out) { ExpandPacked<4, false>(in, blocks, out); }
void ExpandQ4_1(const std::byte* in, int64_t blocks, float* out) { ExpandPacked<4, true>(in, blocks, out); }
void ExpandQ5_0(const std::byte* in, int64_t blocks, float* out) { ExpandPacked<5, false>(in, blocks, out); }
void ExpandQ5_1(const std::byte* in, int64_t blocks, float* out) { ExpandPacked<5, true>(in, blocks, out); }

void ExpandQ8_0(const std::byte* in, int64_t blocks, float* out) {
  constexpr int64_t kBytes = 2 + kValues;
  const auto* block = reinterpret_cast<const uint8_t*>(in);
  for (int64_t b = 0; b < blocks; ++b, block += kBytes, out += kValues) {
    const float scale = ReadF16(block);
    for (int64_t i = 0; i < kValues; ++i) out[i] = static_cast<float>(static_cast<int8_t>(block[2 + i])) * scale;
  }
}

}  // namespace lodestone
