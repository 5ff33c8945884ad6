#include "model/gguf_blocks.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <span>
#include <vector>

#include "numerics/rounding.h"

namespace lodestone {
namespace {

// Blocks made of known integers by setting bits one by one, straight from the definitions: what the expansion must give
// back is then computed in f64 from the integers, not from the bytes.
class Block {
 public:
  explicit Block(size_t bytes) : bytes_(bytes) {}

  // Bits `first` … `first + count` of the byte at `at`.
  void Put(size_t at, int first, int count, int value) {
    for (int i = 0; i < count; ++i) {
      const int bit = (value >> i) & 1;
      bytes_[at] = static_cast<std::byte>(std::to_integer<int>(bytes_[at]) | bit << (first + i));
    }
  }
  void PutF16(size_t at, float value) {
    const uint16_t bits = FloatToF16(value);
    std::memcpy(bytes_.data() + at, &bits, sizeof bits);
  }

  std::vector<float> Expand(uint32_t type) const {
    const GgufCode* code = FindGgufCode(type);
    EXPECT_EQ(bytes_.size(), static_cast<size_t>(code->block_bytes));
    std::vector<float> out(static_cast<size_t>(code->block_values));
    code->expand(bytes_.data(), 1, out.data());
    return out;
  }

 private:
  std::vector<std::byte> bytes_;
};

class Random {
 public:
  int Below(int limit) { return std::uniform_int_distribution<int>(0, limit - 1)(engine_); }
  // A scale that an f16 holds.
  float Scale() { return F16ToFloat(FloatToF16(std::uniform_real_distribution<float>(-0.1f, 0.1f)(engine_))); }

 private:
  std::mt19937 engine_{17};
};

void ExpectValues(const std::vector<float>& found, const std::vector<double>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) EXPECT_EQ(found[i], static_cast<float>(expected[i])) << i;
}

TEST(GgufBlocksTest, HalvesOf32Values) {
  struct Case {
    uint32_t type;
    int bits;
    bool offset;
  };
  Random random;
  for (const Case c : {Case{2, 4, false}, Case{3, 4, true}, Case{6, 5, false}, Case{7, 5, true}}) {
    const size_t header = c.offset ? 4 : 2, high = c.bits == 5 ? 4 : 0;
    Block block(header + high + 16);
    const float scale = random.Scale(), offset = random.Scale();
    block.PutF16(0, scale);
    if (c.offset) block.PutF16(2, offset);
    std::vector<double> expected;
    for (size_t i = 0; i < 32; ++i) {
      const int code = random.Below(1 << c.bits);
      block.Put(header + high + i % 16, i < 16 ? 0 : 4, 4, code & 15);
      if (c.bits == 5) block.Put(header + i / 8, static_cast<int>(i % 8), 1, code >> 4);
      expected.push_back(c.offset ? double{scale} * code + double{offset}
                                  : double{scale} * (code - (1 << (c.bits - 1))));
    }
    SCOPED_TRACE(GgufTypeName(c.type));
    ExpectValues(block.Expand(c.type), expected);
  }
}

TEST(GgufBlocksTest, Bytes) {
  Random random;
  Block block(34);
  const float scale = random.Scale();
  block.PutF16(0, scale);
  std::vector<double> expected;
  for (size_t i = 0; i < 32; ++i) {
    const int code = random.Below(256) - 128;
    block.Put(2 + i, 0, 8, code & 255);
    expected.push_back(double{scale} * code);
  }
  ExpectValues(block.Expand(8), expected);
}

// Groups 0 to 3 have their scale and offset in the low bits of bytes g and g + 4; groups 4 to 7 split theirs.
void PutGroup(Block& block, size_t g, int scale, int offset) {
  constexpr size_t kScales = 4;
  if (g < 4) {
    block.Put(kScales + g, 0, 6, scale);
    block.Put(kScales + g + 4, 0, 6, offset);
    return;
  }
  block.Put(kScales + g + 4, 0, 4, scale & 15);
  block.Put(kScales + g + 4, 4, 4, offset & 15);
  block.Put(kScales + g - 4, 6, 2, scale >> 4);
  block.Put(kScales + g, 6, 2, offset >> 4);
}

TEST(GgufBlocksTest, OffsetGroupsOf256Values) {
  Random random;
  for (const int bits : {4, 5}) {
    const size_t high = 16, codes = bits == 5 ? 48 : 16;
    Block block(codes + 128);
    const float scale = random.Scale(), offset_scale = random.Scale();
    block.PutF16(0, scale);
    block.PutF16(2, offset_scale);
    std::vector<double> expected;
    for (size_t g = 0; g < 8; ++g) {
      const int group_scale = random.Below(64), group_offset = random.Below(64);
      PutGroup(block, g, group_scale, group_offset);
      for (size_t i = 0; i < 32; ++i) {
        const int code = random.Below(1 << bits);
        block.Put(codes + g / 2 * 32 + i, static_cast<int>(g % 2 * 4), 4, code & 15);
        if (bits == 5) block.Put(high + i, static_cast<int>(g), 1, code >> 4);
        expected.push_back(double{scale} * group_scale * code - double{offset_scale} * group_offset);
      }
    }
    SCOPED_TRACE(bits);
    ExpectValues(block.Expand(bits == 4 ? 12 : 13), expected);
  }
}

TEST(GgufBlocksTest, SixBitGroupsOf256Values) {
  Random random;
  Block block(210);
  const float scale = random.Scale();
  block.PutF16(208, scale);
  std::vector<int> group_scales;
  for (size_t g = 0; g < 16; ++g) {
    group_scales.push_back(random.Below(256) - 128);
    block.Put(192 + g, 0, 8, group_scales.back() & 255);
  }
  std::vector<double> expected;
  for (size_t v = 0; v < 256; ++v) {
    const size_t half = v / 128, row = v % 128 / 32, i = v % 32;
    const int code = random.Below(64);
    block.Put(half * 64 + row % 2 * 32 + i, static_cast<int>(row / 2 * 4), 4, code & 15);
    block.Put(128 + half * 32 + i, static_cast<int>(row * 2), 2, code >> 4);
    expected.push_back(double{scale} * group_scales[v / 16] * (code - 32));
  }
  ExpectValues(block.Expand(14), expected);
}

TEST(GgufBlocksTest, EveryHalfPrecisionNumberIsExact) {
  std::vector<uint16_t> bits(1 << 16);
  for (size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<uint16_t>(i);
  std::vector<float> values(bits.size());
  FindGgufCode(1)->expand(std::as_bytes(std::span(bits)).data(), 1 << 16, values.data());
  for (size_t i = 0; i < bits.size(); ++i) {
    const float expected = F16ToFloat(bits[i]);
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(values[i])) << i;
    } else {
      EXPECT_EQ(std::bit_cast<uint32_t>(values[i]), std::bit_cast<uint32_t>(expected)) << i;
    }
  }
  FindGgufCode(30)->expand(std::as_bytes(std::span(bits)).data(), 1 << 16, values.data());
  for (size_t i = 0; i < bits.size(); ++i) EXPECT_EQ(std::bit_cast<uint32_t>(values[i]), i << 16);
}

TEST(GgufBlocksTest, NamesWhatIsReadAndWhatIsNot) {
  EXPECT_EQ(ReadableGgufTypes(), "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K");
  EXPECT_EQ(FindGgufCode(11), nullptr);
  EXPECT_EQ(GgufTypeName(11), "Q3_K");
  EXPECT_EQ(GgufTypeName(2), "Q4_0");
}

}  // namespace
}  // namespace lodestone
