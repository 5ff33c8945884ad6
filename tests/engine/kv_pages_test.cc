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

// 64 tokens of this value.
Ids Text(int32_t token) { return Ids(64, token); }

TEST(KvPages, APageIsFreeWhenItsLastHolderReleasesIt) {
  KvPages pages(3);
  Ids a = *pages.Allocate(2), b = a;
  pages.Share(b);
  EXPECT_EQ(pages.holders(0), 2);
  pages.Release(a);
  EXPECT_EQ(pages.free_pages(), 1);
  pages.Release(b);
  EXPECT_EQ(pages.free_pages(), 3);
  EXPECT_EQ(pages.idle_pages(), 0);
}

TEST(KvPages, PublishedPagesStayKnownUntilTheirRoomIsNeeded) {
  KvPages pages(4);
  Ids a = *pages.Allocate(3);
  EXPECT_EQ(pages.Publish(a[0], kNoPage, Text(7)), 0);
  EXPECT_EQ(pages.Publish(a[1], a[0], Text(7)), 1);
  EXPECT_EQ(pages.Find(kNoPage, Text(7)), 0);
  EXPECT_EQ(pages.Find(0, Text(7)), 1);
  EXPECT_EQ(pages.Find(1, Text(7)), kNoPage);
  EXPECT_EQ(pages.Find(kNoPage, Text(8)), kNoPage);
  pages.Release(a);
  EXPECT_EQ(pages.free_pages(), 4);
  EXPECT_EQ(pages.idle_pages(), 2);
  // Free ones first, then the end of the idle prefix, then its beginning.
  EXPECT_EQ(*pages.Allocate(2), (Ids{2, 3}));
  EXPECT_EQ(*pages.Allocate(1), (Ids{1}));
  EXPECT_EQ(pages.Find(0, Text(7)), kNoPage);
  EXPECT_EQ(pages.Find(kNoPage, Text(7)), 0);
  // An idle page that is shared is held again.
  const Ids first{0};
  pages.Share(first);
  EXPECT_EQ(pages.idle_pages(), 0);
  EXPECT_FALSE(pages.Allocate(1).ok());
}

TEST(KvPages, TheLongestIdleGoesFirst) {
  KvPages pages(3);
  for (int32_t text = 0; text < 3; ++text) {
    Ids page = *pages.Allocate(1);
    pages.Publish(page[0], kNoPage, Text(text));
    pages.Release(page);
  }
  Ids again{pages.Find(kNoPage, Text(0))};
  pages.Share(again);
  pages.Release(again);
  EXPECT_EQ(*pages.Allocate(1), (Ids{1}));
  EXPECT_EQ(pages.Find(kNoPage, Text(1)), kNoPage);
  EXPECT_NE(pages.Find(kNoPage, Text(0)), kNoPage);
}

TEST(KvPages, EqualContentsAreKeptOnce) {
  KvPages pages(3);
  Ids a = *pages.Allocate(1), b = *pages.Allocate(1);
  EXPECT_EQ(pages.Publish(a[0], kNoPage, Text(5)), 0);
  b[0] = pages.Publish(b[0], kNoPage, Text(5));
  EXPECT_EQ(b[0], 0);
  EXPECT_EQ(pages.holders(0), 2);
  EXPECT_EQ(pages.free_pages(), 2);
  EXPECT_EQ(pages.Publish(b[0], kNoPage, Text(5)), 0);
  EXPECT_EQ(pages.holders(0), 2);
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

// Users with texts of few different pages come and go: a chain found is the chain published, and nothing leaks.
TEST(KvPagesProperty, WhatIsFoundIsWhatWasPublished) {
  for (uint32_t seed = 0; seed < 50; ++seed) {
    std::mt19937 random(seed);
    KvPages pages(12);
    std::vector<Ids> contents(12);  // of a page: the texts from the start to its own
    std::vector<Ids> held;
    size_t found_pages = 0;
    for (int step = 0; step < 300; ++step) {
      if (held.size() > 3 || (!held.empty() && random() % 3 == 0)) {
        const size_t victim = random() % held.size();
        pages.Release(held[victim]);
        held.erase(held.begin() + static_cast<std::ptrdiff_t>(victim));
        continue;
      }
      Ids user, text;
      const size_t length = 1 + random() % 3;
      while (text.size() < length) text.push_back(static_cast<int32_t>(random() % 3));
      for (size_t i = 0; i < length; ++i) {
        const int32_t parent = i == 0 ? kNoPage : user.back();
        Ids upto(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        int32_t page = pages.Find(parent, Text(text[i]));
        if (page != kNoPage) {
          EXPECT_EQ(contents[static_cast<size_t>(page)], upto) << "seed " << seed;
          pages.Share(std::span(&page, 1));
          ++found_pages;
        } else {
          const auto taken = pages.Allocate(1);
          if (!taken.ok()) break;
          page = pages.Publish(taken->front(), parent, Text(text[i]));
          contents[static_cast<size_t>(page)] = upto;
        }
        user.push_back(page);
      }
      held.push_back(user);
    }
    EXPECT_GT(found_pages, 10u);
    for (Ids& ids : held) pages.Release(ids);
    EXPECT_EQ(pages.free_pages(), 12);
    EXPECT_EQ(pages.Allocate(12)->size(), 12u);
    EXPECT_EQ(pages.idle_pages(), 0);
  }
}

}  // namespace
}  // namespace lodestone
