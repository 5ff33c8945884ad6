#include "engine/kv_pages.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace lodestone {
namespace {

using Ids = std::vector<int32_t>;

TEST(KvPages, LowestFreeIdsFirst) {
  KvPages pages(5);
  Ids a = *pages.Allocate(2);
  Ids b = *pages.Allocate(2);
  EXPECT_EQ(a, (Ids{0, 1}));
  EXPECT_EQ(b, (Ids{2, 3}));
  pages.Release(a);
  EXPECT_TRUE(a.empty());
  EXPECT_EQ(*pages.Allocate(3), (Ids{0, 1, 4}));
  EXPECT_EQ(pages.free_pages(), 0);
  EXPECT_EQ(pages.total_pages(), 5);
}

TEST(KvPages, RefusesMoreThanAreFreeWithBothNumbers) {
  KvPages pages(4);
  ASSERT_TRUE(pages.Allocate(3).ok());
  const auto refused = pages.Allocate(2);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kInfeasible);
  EXPECT_EQ(refused.error().message, "2 KV pages needed, 1 of 4 are free");
  EXPECT_EQ(pages.free_pages(), 1);
  EXPECT_FALSE(pages.Allocate(-1).ok());
  EXPECT_TRUE(pages.Allocate(0)->empty());
}

TEST(KvPagesProperty, NoIdIsHeldTwiceAndAllComeBack) {
  for (uint32_t seed = 0; seed < 50; ++seed) {
    std::mt19937 random(seed);
    KvPages pages(40);
    std::vector<Ids> held;
    for (int step = 0; step < 200; ++step) {
      const int count = std::uniform_int_distribution<int>(0, 9)(random);
      if (auto got = pages.Allocate(count); got.ok()) {
        held.push_back(*std::move(got));
      } else {
        EXPECT_LT(pages.free_pages(), count);
        const size_t victim = std::uniform_int_distribution<size_t>(0, held.size() - 1)(random);
        pages.Release(held[victim]);
        held.erase(held.begin() + static_cast<std::ptrdiff_t>(victim));
      }
      std::set<int32_t> distinct;
      size_t total = 0;
      for (const Ids& ids : held) {
        distinct.insert(ids.begin(), ids.end());
        total += ids.size();
      }
      EXPECT_EQ(distinct.size(), total);
      EXPECT_EQ(static_cast<size_t>(pages.free_pages()) + total, 40u);
    }
    for (Ids& ids : held) pages.Release(ids);
    EXPECT_EQ(pages.Allocate(40)->back(), 39);
  }
}

}  // namespace
}  // namespace lodestone
