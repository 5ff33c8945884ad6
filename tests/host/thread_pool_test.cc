#include "host/thread_pool.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <numeric>
#include <thread>
#include <vector>

#include "host/topology.h"

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

TEST(ThreadPool, ThisProcessHasAProcessor) {
  EXPECT_GE(AvailableThreads(), 1);
  EXPECT_LE(AvailableThreads(), static_cast<int>(AffinityCpus().size()));
}

// LODESTONE_PIN for one test.
class PinningTest : public ::testing::Test {
 protected:
  void TearDown() override { unsetenv("LODESTONE_PIN"); }
  static void Wish(const char* value) { setenv("LODESTONE_PIN", value, 1); }
  // Processors that the calling thread may run on.
  static int Allowed() {
    cpu_set_t mask;
    CPU_ZERO(&mask);
    return sched_getaffinity(0, sizeof mask, &mask) == 0 ? CPU_COUNT(&mask) : -1;
  }
  static std::vector<int> AllowedIn(ThreadPool& pool) {
    std::vector<int> allowed(static_cast<size_t>(pool.threads()), 0);
    pool.ParallelFor(pool.threads(),
                     [&](int64_t, int64_t, int thread) { allowed[static_cast<size_t>(thread)] = Allowed(); });
    return allowed;
  }
};

TEST_F(PinningTest, AFullPoolGivesEachWorkerOneProcessorAndLeavesTheCaller) {
  if (AvailableThreads() < 2) GTEST_SKIP() << "one processor";
  ThreadPool pool(AvailableThreads());
  if (!pool.pinned()) GTEST_SKIP() << "a quota below the number of cores";
  const std::vector<int> allowed = AllowedIn(pool);
  EXPECT_EQ(allowed[0], static_cast<int>(AffinityCpus().size()));
  for (size_t thread = 1; thread < allowed.size(); ++thread) EXPECT_EQ(allowed[thread], 1);
}

TEST_F(PinningTest, TheCallerIsPinnedOnRequestAndFreedAgain) {
  if (AvailableThreads() < 2) GTEST_SKIP() << "one processor";
  Wish("1");
  const int before = Allowed();
  {
    ThreadPool pool(2, Pinning::kAll);
    ASSERT_TRUE(pool.pinned());
    EXPECT_EQ(AllowedIn(pool), (std::vector<int>{1, 1}));
    // A pinned thread's mask is not what the process was given.
    EXPECT_GE(AvailableThreads(), 2);
    ThreadPool second(2);
    EXPECT_EQ(AllowedIn(second), (std::vector<int>{1, 1}));
  }
  EXPECT_EQ(Allowed(), before);
}

TEST_F(PinningTest, OffPinsNothing) {
  Wish("0");
  ThreadPool pool(AvailableThreads(), Pinning::kAll);
  EXPECT_FALSE(pool.pinned());
  for (const int allowed : AllowedIn(pool)) EXPECT_EQ(allowed, static_cast<int>(AffinityCpus().size()));
}

TEST_F(PinningTest, MoreThreadsThanProcessorsAreLeftToTheKernel) {
  Wish("1");
  ThreadPool pool(static_cast<int>(AffinityCpus().size()) + 1, Pinning::kAll);
  EXPECT_FALSE(pool.pinned());
}

}  // namespace
}  // namespace lodestone
