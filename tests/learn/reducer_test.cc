// Sums over ranks, on ranks that are threads: values, order, sizes, and what happens when a rank is lost.
#include "learn/reducer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <thread>

#include "learn/fake_network.h"
#include "learn/mpi/load.h"
#include "learn/ranks/pieces.h"
#include "learn/ranks/rank_reducer.h"

namespace lodestone::testing {
namespace {

constexpr int64_t kPiece = 1024;  // several pieces of little memory

// Runs `body` for each rank in a thread of its own.
void OnRanks(FakeNetwork& network, int ranks, double time_limit_s, const std::function<void(Reducer&)>& body) {
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      auto reducer =
          MakeRankReducer([&] { return network.Rank(rank); }, {.time_limit_s = time_limit_s, .piece_floats = kPiece});
      ASSERT_TRUE(reducer.ok()) << reducer.error().message;
      body(**reducer);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// What rank `rank` contributes: values of very different sizes, so that the order of additions shows.
std::vector<float> Contribution(int rank, int64_t count, uint32_t salt) {
  std::mt19937 random(salt * 31 + static_cast<uint32_t>(rank));
  std::uniform_real_distribution<float> mantissa(-1, 1);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = std::ldexp(mantissa(random), static_cast<int>(random() % 40) - 20);
  return values;
}

std::vector<float> SumOf(int ranks, int64_t count, uint32_t salt) {
  std::vector<double> sums(static_cast<size_t>(count));
  for (int rank = 0; rank < ranks; ++rank) {
    const std::vector<float> values = Contribution(rank, count, salt);
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += static_cast<double>(values[i]);
  }
  std::vector<float> rounded(sums.begin(), sums.end());
  return rounded;
}

constexpr double kPatient_s = 60;

TEST(Reducer, OneRankSumsNothing) {
  const std::unique_ptr<Reducer> reducer = SingleRank();
  std::vector<float> values{1, 2};
  EXPECT_EQ(reducer->ranks(), 1);
  EXPECT_TRUE(reducer->Begin(values).ok());
  EXPECT_TRUE(reducer->Finish().ok());
  EXPECT_EQ(values, (std::vector<float>{1, 2}));
  EXPECT_EQ(*reducer->Sum(std::vector<double>{3}), std::vector<double>{3});
  EXPECT_EQ(reducer->Describe(), "1 rank");
}

TEST(Reducer, SharesCoverAllValuesOnce) {
  for (const int64_t count : {0, 1, 2, 3, 7, 1000}) {
    for (int ranks = 1; ranks <= 5; ++ranks) {
      int64_t end = 0;
      for (int rank = 0; rank < ranks; ++rank) {
        const auto share = ShareOf(count, rank, ranks);
        EXPECT_EQ(share.first, end);
        EXPECT_GE(share.second, share.first);
        end = share.second;
      }
      EXPECT_EQ(end, count);
    }
  }
}

TEST(Reducer, AddsInTheOrderOfRanksAndRoundsOnce) {
  // In float, from left to right, the 1 would be lost; in double it is not. 2^60 swallows it in double too, so that
  // what remains tells the order.
  const float big = 0x1p30F, huge = 0x1p60F;
  const std::vector<std::vector<float>> parts{{big, huge, 1}, {1, -huge, huge}, {-big, 1, -huge}};
  std::vector<const float*> pointers;
  for (const auto& part : parts) pointers.push_back(part.data());
  std::vector<float> sums(3);
  SumInOrder(pointers, sums);
  EXPECT_EQ(sums, (std::vector<float>{1, 1, 0}));
}

TEST(ReducerProperty, SumsAreThoseOfTheOrderOnEveryRank) {
  const std::vector<int64_t> sizes{0, 1, 2, 5, 1023, kPiece, kPiece + 1, 20 * kPiece + 77};
  for (int ranks = 1; ranks <= 4; ++ranks) {
    SCOPED_TRACE(ranks);
    FakeNetwork network(ranks, static_cast<uint32_t>(ranks));
    OnRanks(network, ranks, kPatient_s, [&](Reducer& reducer) {
      EXPECT_EQ(reducer.ranks(), ranks);
      std::vector<std::vector<float>> buckets;
      for (size_t i = 0; i < sizes.size(); ++i) {
        buckets.push_back(Contribution(reducer.rank(), sizes[i], static_cast<uint32_t>(i)));
      }
      for (auto& bucket : buckets) ASSERT_TRUE(reducer.Begin(bucket).ok());
      ASSERT_TRUE(reducer.Finish().ok());
      for (size_t i = 0; i < sizes.size(); ++i) {
        EXPECT_TRUE(buckets[i] == SumOf(ranks, sizes[i], static_cast<uint32_t>(i))) << sizes[i];
      }
      int64_t bytes = 0, expected = 0;
      for (const Reducer::Interval& interval : reducer.TakeIntervals()) {
        EXPECT_LE(interval.begin, interval.end);
        bytes += interval.bytes;
      }
      for (const int64_t size : sizes) expected += size * 4;
      EXPECT_EQ(bytes, expected);
      EXPECT_TRUE(reducer.TakeIntervals().empty());
    });
    for (int rank = 0; rank < ranks; ++rank) EXPECT_TRUE(network.closed(rank)) << rank;
  }
}

TEST(ReducerProperty, ManySmallSumsMixedWithDoubles) {
  constexpr int kRanks = 3, kRounds = 60;
  FakeNetwork network(kRanks);
  OnRanks(network, kRanks, kPatient_s, [&](Reducer& reducer) {
    for (int round = 0; round < kRounds; ++round) {
      std::vector<float> first(static_cast<size_t>(round % 7), 1.0F), second(11, static_cast<float>(reducer.rank()));
      ASSERT_TRUE(reducer.Begin(first).ok());
      ASSERT_TRUE(reducer.Begin(second).ok());
      const std::vector<double> mine{0.1 * reducer.rank(), 1};
      const auto sums = reducer.Sum(mine);
      ASSERT_TRUE(sums.ok()) << sums.error().message;
      EXPECT_EQ(*sums, (std::vector<double>{0.0 + 0.1 + 0.2, 3}));
      ASSERT_TRUE(reducer.Finish().ok());
      EXPECT_EQ(first, std::vector<float>(first.size(), 3.0F));
      EXPECT_EQ(second, std::vector<float>(11, 3.0F));
    }
  });
}

TEST(Reducer, SendsNoMoreThanASumOverRanksNeeds) {
  constexpr int kRanks = 4;
  constexpr int64_t kCount = 256 * kPiece;
  FakeNetwork network(kRanks);
  OnRanks(network, kRanks, kPatient_s, [&](Reducer& reducer) {
    std::vector<float> values(kCount, 1.0F);
    ASSERT_TRUE(reducer.Begin(values).ok());
    ASSERT_TRUE(reducer.Finish().ok());
  });
  constexpr int64_t kLeast = 2 * (kRanks - 1) * kCount * 4 / kRanks;
  for (int rank = 0; rank < kRanks; ++rank) {
    EXPECT_GE(network.bytes_sent(rank), kLeast);
    EXPECT_LE(network.bytes_sent(rank), kLeast + (1 << 18)) << "notes are small beside the values";
  }
}

TEST(Reducer, OtherSizesAreRefusedByName) {
  FakeNetwork network(2);
  OnRanks(network, 2, kPatient_s, [&](Reducer& reducer) {
    std::vector<float> values(reducer.rank() == 0 ? 10 : 12);
    ASSERT_TRUE(reducer.Begin(values).ok());
    const Status status = reducer.Finish();
    ASSERT_FALSE(status.ok());
    const std::string& message = status.error().message;
    // One finds it out, the other does too or is told.
    EXPECT_NE(message.find("a sum of 10 floats"), std::string::npos) << message;
    EXPECT_NE(message.find("a sum of 12 floats"), std::string::npos) << message;
    EXPECT_FALSE(reducer.Begin(values).ok());
    EXPECT_FALSE(reducer.Sum(std::vector<double>{1}).ok());
  });
  EXPECT_FALSE(network.closed(0));
}

TEST(Reducer, FloatsAreNotDoubles) {
  FakeNetwork network(2);
  OnRanks(network, 2, kPatient_s, [&](Reducer& reducer) {
    std::vector<float> values(3);
    Status status;
    if (reducer.rank() == 0) {
      ASSERT_TRUE(reducer.Begin(values).ok());
      status = reducer.Finish();
    } else {
      status = reducer.Sum(std::vector<double>(3)).status();
    }
    ASSERT_FALSE(status.ok());
    EXPECT_NE(status.error().message.find("a sum of 3 doubles"), std::string::npos) << status.error().message;
  });
}

TEST(Reducer, ASilentRankIsAnErrorThatNamesIt) {
  FakeNetwork network(3);
  std::atomic<int> begun = 0;
  OnRanks(network, 3, 0.3, [&](Reducer& reducer) {
    ++begun;
    while (begun < 3) std::this_thread::yield();
    network.Silence(1);
    std::vector<float> values(100, 1.0F);
    ASSERT_TRUE(reducer.Begin(values).ok());
    const Status status = reducer.Finish();
    ASSERT_FALSE(status.ok());
    if (reducer.rank() == 1) return;  // it hears that the others gave up
    EXPECT_NE(status.error().message.find("rank 1"), std::string::npos) << status.error().message;
    EXPECT_NE(status.error().message.find("silent for 0.3 s"), std::string::npos) << status.error().message;
  });
}

TEST(Reducer, ASlowRankIsWaitedFor) {
  FakeNetwork network(2);
  OnRanks(network, 2, 0.1, [&](Reducer& reducer) {
    if (reducer.rank() == 1) std::this_thread::sleep_for(std::chrono::milliseconds(400));
    const auto sums = reducer.Sum(std::vector<double>{1});
    ASSERT_TRUE(sums.ok()) << sums.error().message;
    EXPECT_EQ((*sums)[0], 2);
  });
}

TEST(Reducer, WhoLeavesSaysWhy) {
  FakeNetwork network(3);
  OnRanks(network, 3, kPatient_s, [&](Reducer& reducer) {
    if (reducer.rank() == 2) {
      reducer.Leave("train.toml:3: no such file");
      EXPECT_FALSE(reducer.Finish().ok());
      return;
    }
    const auto sums = reducer.Sum(std::vector<double>{1});
    ASSERT_FALSE(sums.ok());
    EXPECT_NE(sums.error().message.find("rank 2"), std::string::npos) << sums.error().message;
    EXPECT_NE(sums.error().message.find("gave up: train.toml:3: no such file"), std::string::npos)
        << sums.error().message;
  });
}

TEST(Reducer, WhoEndsEarlyIsMissed) {
  FakeNetwork network(2);
  OnRanks(network, 2, kPatient_s, [&](Reducer& reducer) {
    if (reducer.rank() == 1) return;
    const auto sums = reducer.Sum(std::vector<double>{1});
    ASSERT_FALSE(sums.ok());
    EXPECT_NE(sums.error().message.find("has finished its part and left"), std::string::npos) << sums.error().message;
  });
}

TEST(Reducer, ARankThatNeverStartsIsNamed) {
  FakeNetwork network(2);
  const auto reducer = MakeRankReducer([&] { return network.Rank(0); }, {.time_limit_s = 0.2});
  ASSERT_FALSE(reducer.ok());
  EXPECT_NE(reducer.error().message.find("rank 1 has been silent for 0.2 s before the run began"), std::string::npos)
      << reducer.error().message;
}

TEST(Reducer, ATransportThatCannotOpenIsAnError) {
  const auto reducer = MakeRankReducer([]() -> Result<std::unique_ptr<Transport>> { return IoError("no network"); });
  ASSERT_FALSE(reducer.ok());
  EXPECT_EQ(reducer.error().message, "no network");
}

TEST(MpiModule, AbsentOrForeignModulesAreRefused) {
  const auto absent = LoadMpiModule({"/nowhere/lodestone_mpi.so"});
  ASSERT_FALSE(absent.ok());
  EXPECT_NE(absent.error().message.find("tried /nowhere/lodestone_mpi.so"), std::string::npos);
  EXPECT_NE(absent.error().message.find("libopenmpi-dev"), std::string::npos);
  const auto no_library = LoadMpiModule({std::filesystem::path(LODESTONE_SOURCE_DIR) / "LICENSE"});
  ASSERT_FALSE(no_library.ok());
  EXPECT_NE(no_library.error().message.find("cannot be loaded"), std::string::npos) << no_library.error().message;
}

}  // namespace
}  // namespace lodestone::testing
