#include "appliance/framebuffer.h"

#include <gtest/gtest.h>

namespace lodestone {
namespace {

Time Ps(int64_t ps) { return {ps}; }

TEST(FramebufferHalf, ASlotIsFreeWhenTheTensorThatManyBeforeHasLeft) {
  FramebufferHalf half(2);
  EXPECT_EQ(half.FreeAt(), Ps(0));
  half.Take();
  half.Release({Ps(10), Ps(50), 8});
  EXPECT_EQ(half.FreeAt(), Ps(0));  // the second slot
  half.Take();
  half.Release({Ps(20), Ps(60), 8});
  EXPECT_EQ(half.FreeAt(), Ps(50));
  half.Take();
  half.Release({Ps(50), Ps(90), 4});
  EXPECT_EQ(half.FreeAt(), Ps(60));
  EXPECT_EQ(half.peak_bytes(), 16);
  EXPECT_DOUBLE_EQ(half.byte_seconds(), (8 * 40 + 8 * 40 + 4 * 40) * 1e-12);
}

TEST(FramebufferHalf, TensorsMayBeTakenBeforeThoseBeforeThemLeave) {
  FramebufferHalf half(3);
  half.Take();
  half.Take();
  half.Take();
  half.Release({Ps(0), Ps(30), 1});
  EXPECT_EQ(half.FreeAt(), Ps(30));
  half.Take();
  half.Release({Ps(5), Ps(40), 1});
  EXPECT_EQ(half.FreeAt(), Ps(40));
}

TEST(FramebufferHalf, WithoutALimitAnyNumberWaits) {
  FramebufferHalf half;
  for (int64_t i = 0; i < 100; ++i) {
    half.Take();
    half.Release({Ps(i), Ps(1000 + i), 3});
    EXPECT_EQ(half.FreeAt(), Ps(0));
  }
  EXPECT_EQ(half.peak_bytes(), 300);
  half.Take();
  half.Release({Ps(1050), Ps(2000), 3});  // 51 of them are gone
  EXPECT_EQ(half.peak_bytes(), 300);
  half.Take();
  half.Release({Ps(2000), Ps(2001), 700});
  EXPECT_EQ(half.peak_bytes(), 700);
}

TEST(FramebufferHalf, ATensorThatLeavesAtOnceWasThere) {
  FramebufferHalf half(1);
  half.Take();
  half.Release({Ps(5), Ps(5), 9});
  EXPECT_EQ(half.peak_bytes(), 9);
  EXPECT_EQ(half.FreeAt(), Ps(5));
}

}  // namespace
}  // namespace lodestone
