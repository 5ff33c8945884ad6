#include "numerics/format.h"

#include <gtest/gtest.h>

namespace lodestone {
namespace {

TEST(Format, BytesOfCodesRoundEachRowUp) {
  EXPECT_EQ(CodeBytes(Code::kInt4, 3, 5), 9);
  EXPECT_EQ(CodeBytes(Code::kInt2, 3, 5), 6);
  EXPECT_EQ(CodeBytes(Code::kInt4, 4096, 4096), 8 << 20);
  EXPECT_EQ(CodeBytes(Code::kBf16, 2, 3), 12);
  EXPECT_EQ(CodeBytes(Code::kF32, 2, 3), 24);
}

TEST(Format, WeightScales) {
  EXPECT_EQ(WeightScaleBytes({Code::kBf16}, 10, 100), 0);
  EXPECT_EQ(WeightScaleBytes({Code::kInt8, Scales::kChannel}, 10, 100), 40);
  EXPECT_EQ(WeightScaleBytes({Code::kInt4, Scales::kGroup, 32}, 10, 96), 40 + 10 * 3);
  EXPECT_EQ(WeightScaleBytes({Code::kInt4, Scales::kGroup, 32}, 10, 97), 40 + 10 * 4);
}

TEST(Format, ActivationScales) {
  EXPECT_EQ(ActivationScaleBytes({Code::kBf16}, 7, 4), 0);
  EXPECT_EQ(ActivationScaleBytes({Code::kInt8, Scales::kStatic}, 7, 4), 0);
  EXPECT_EQ(ActivationScaleBytes({Code::kInt8, Scales::kToken}, 7, 4), 28);
  EXPECT_EQ(ActivationScaleBytes({Code::kInt4, Scales::kHead}, 7, 4), 112);
}

TEST(Format, Names) {
  EXPECT_EQ(ToString(Format{Code::kBf16}), "bf16");
  EXPECT_EQ(ToString(Format{Code::kInt4, Scales::kChannel}), "int4·channel");
  EXPECT_EQ(ToString(Format{Code::kInt2, Scales::kChannel}), "int2·channel");
  EXPECT_EQ(ToString(Format{Code::kInt4, Scales::kGroup, 128}), "int4·group128");
  EXPECT_EQ(ToString(Format{Code::kUint8, Scales::kStatic}), "uint8·static");
  EXPECT_EQ(ToString(Code::kF16), "f16");
  EXPECT_EQ(ToString(Scales::kNone), "none");
}

}  // namespace
}  // namespace lodestone
