#include "host/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>
#include <vector>

namespace lodestone {
namespace {

TEST(ThreadPoolProperty, EveryIndexRunsOnceInContiguousPiecesWhateverTheThreads) {
  for (int threads = 1; threads <= 7; ++threads) {
    ThreadPool pool(threads);
    ASSERT_EQ(pool.threads(), threads);
    for (int64_t count = 0; count <= 40; ++count) {
      std::vector<int> runs(static_cast<size_t>(count), 0), owner(static_cast<size_t>(count), -1);
      std::vector<int> pieces(static_cast<size_t>(threads), 0);
      pool.ParallelFor(count, [&](int64_t begin, int64_t end, int thread) {
        ++pieces[static_cast<size_t>(thread)];
        for (int64_t i = begin; i < end; ++i) {
          ++runs[static_cast<size_t>(i)];
          owner[static_cast<size_t>(i)] = thread;
        }
      });
      for (int64_t i = 0; i < count; ++i) {
        ASSERT_EQ(runs[static_cast<size_t>(i)], 1);
        // The stated cut: piece t is [count t / threads, count (t + 1) / threads).
        const int thread = owner[static_cast<size_t>(i)];
        ASSERT_LE(count * thread / threads, i);
        ASSERT_LT(i, count * (thread + 1) / threads);
      }
      for (const int n : pieces) ASSERT_LE(n, 1);
    }
  }
}

TEST(ThreadPoolProperty, ManySmallLoopsSumRight) {
  ThreadPool pool(3);
  std::vector<int64_t> partial(3 * 16, 0);  // a cache line a thread
  constexpr int kLoops = 20000;
  for (int loop = 0; loop < kLoops; ++loop) {
    pool.ParallelFor(12, [&](int64_t begin, int64_t end, int thread) {
      for (int64_t i = begin; i < end; ++i) partial[static_cast<size_t>(thread) * 16] += i;
    });
  }
  EXPECT_EQ(std::accumulate(partial.begin(), partial.end(), int64_t{0}), int64_t{kLoops} * 66);
}

// What one loop wrote, every thread sees in the next, without atomics.
TEST(ThreadPool, ALoopSeesWhatTheLastOneWrote) {
  ThreadPool pool(2);
  std::vector<int> values(1000, 0);
  for (int loop = 1; loop <= 500; ++loop) {
    std::atomic<int> wrong{0};
    pool.ParallelFor(1000, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) {
        // Each thread reads the other's half.
        if (values[static_cast<size_t>(999 - i)] != 2 * (loop - 1)) ++wrong;
      }
    });
    ASSERT_EQ(wrong, 0);
    pool.ParallelFor(1000, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) values[static_cast<size_t>(i)] += 2;
    });
  }
}

// Workers that slept wake up again.
TEST(ThreadPool, WorksAfterItsThreadsWentToSleep) {
  ThreadPool pool(2);
  for (int loop = 0; loop < 5; ++loop) {
    std::atomic<int64_t> sum{0};
    pool.ParallelFor(100, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) sum += i;
    });
    EXPECT_EQ(sum, 4950);
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
  }
}

TEST(ThreadPool, FewerThanOneThreadIsOne) {
  ThreadPool pool(0);
  EXPECT_EQ(pool.threads(), 1);
  int calls = 0;
  pool.ParallelFor(5, [&](int64_t begin, int64_t end, int thread) {
    ++calls;
    EXPECT_EQ(begin, 0);
    EXPECT_EQ(end, 5);
    EXPECT_EQ(thread, 0);
  });
  EXPECT_EQ(calls, 1);
}

TEST(ThreadPool, PoolsComeAndGo) {
  for (int i = 0; i < 50; ++i) {
    ThreadPool pool(1 + i % 5);
    std::atomic<int> calls{0};
    if (i % 2 == 0) pool.ParallelFor(10, [&](int64_t, int64_t, int) { ++calls; });
    EXPECT_EQ(calls > 0, i % 2 == 0);
  }
}

TEST(ThreadPool, ThisProcessHasAProcessor) { EXPECT_GE(AvailableThreads(), 1); }

}  // namespace
}  // namespace lodestone
