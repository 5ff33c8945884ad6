// Q4_K, Q5_K, Q6_K: 256 values in groups whose scales are integers.
#include <array>

#include "model/gguf_blocks.h"
#include "numerics/rounding.h"

namespace lodestone {
namespace {

constexpr int64_t kValues = 256;
constexpr int64_t kPackedScales = 12;

float ReadF16(const uint8_t* in) { return F16ToFloat(static_cast<uint16_t>(in[0] | in[1] << 8)); }

// The 6-bit scales s and offsets m of 8 groups in 12 bytes. Groups 0 to 3: the low six bits of bytes g and g + 4.
// Groups 4 to 7: a half of byte g + 4 each (low s, high m), with the two top bits of bytes g − 4 and g above it.
struct GroupScales {
  std::array<uint8_t, 8> scale, offset;
};

GroupScales UnpackScales(const uint8_t* packed) {
  GroupScales groups;
  for (size_t g = 0; g < 4; ++g) {
    groups.scale[g] = packed[g] & 63;
    groups.offset[g] = packed[g + 4] & 63;
    groups.scale[g + 4] = static_cast<uint8_t>((packed[g + 8] & 15) | (packed[g] >> 6) << 4);
    groups.offset[g + 4] = static_cast<uint8_t>((packed[g + 8] >> 4) | (packed[g + 4] >> 6) << 4);
  }
  return groups;
}

// Groups 2p and 2p + 1 are the low and the high halves of bytes 32p … 32p + 31 of the codes; the fifth bit of value i
// of group g is bit g of high[i].
template <int kBits>
void ExpandOffsetGroups(const std::byte* in, int64_t blocks, float* out) {
  constexpr int64_t kGroup = 32, kHigh = kBits == 5 ? kGroup : 0, kHeader = 4 + kPackedScales;
  constexpr int64_t kBytes = kHeader + kHigh + kValues / 2;
  const auto* block = reinterpret_cast<const uint8_t*>(in);
  for (int64_t b = 0; b < blocks; ++b, block += kBytes) {
    const float scale = ReadF16(block), offset_scale = ReadF16(block + 2);
    const GroupScales groups = UnpackScales(block + 4);
    const uint8_t* high = block + kHeader;
    const uint8_t* codes = block + kHeader + kHigh;
    for (int g = 0; g < kValues / kGroup; ++g, out += kGroup) {
      const float group_scale = scale * static_cast<float>(groups.scale[static_cast<size_t>(g)]);
      const float offset = offset_scale * static_cast<float>(groups.offset[static_cast<size_t>(g)]);
      const int shift = g % 2 * 4;
      for (int64_t i = 0; i < kGroup; ++i) {
        int code = (codes[g / 2 * kGroup + i] >> shift) & 15;
        if constexpr (kBits == 5) code |= ((high[i] >> g) & 1) << 4;
        out[i] = group_scale * static_cast<float>(code) - offset;
      }
    }
  }
}

}  // namespace

void ExpandQ4_K(const std::byte* in, int64_t blocks, float* out) { ExpandOffsetGroups<4>(in, blocks, out); }
void ExpandQ5_K(const std::byte* in, int64_t blocks, float* out) { ExpandOffsetGroups<5>(in, blocks, out); }

// Values 128h + 32r + i of half h: the low four bits are half r / 2 of byte 64h + 32(r % 2) + i of low[128], the high
// two bits are bits 2r and 2r + 1 of byte 32h + i of high[64]; the group of 16 is 8h + 2r + i / 16.
void ExpandQ6_K(const std::byte* in, int64_t blocks, float* out) {
  constexpr int64_t kLow = 128, kHigh = 64, kScales = 16, kBytes = kLow + kHigh + kScales + 2;
  const auto* block = reinterpret_cast<const uint8_t*>(in);
  for (int64_t b = 0; b < blocks; ++b, block += kBytes) {
    const uint8_t* scales = block + kLow + kHigh;
    const float scale = ReadF16(scales + kScales);
    for (int64_t group = 0; group < kScales; ++group, out += 16) {
      const int64_t half = group / 8, quarter = group % 8 / 2, first = group % 2 * 16;
      const float group_scale = scale * static_cast<float>(static_cast<int8_t>(scales[group]));
      const uint8_t* low = block + half * 64 + quarter % 2 * 32 + first;
      const uint8_t* high = block + kLow + half * 32 + first;
      const int low_shift = static_cast<int>(quarter / 2 * 4), high_shift = static_cast<int>(quarter * 2);
      for (int64_t i = 0; i < 16; ++i) {
        const int code = ((low[i] >> low_shift) & 15) | ((high[i] >> high_shift) & 3) << 4;
        out[i] = group_scale * static_cast<float>(code - 32);
      }
    }
  }
}

}  // namespace lodestone
