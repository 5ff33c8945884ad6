#include "host/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <thread>
#include <vector>

#include "host/cgroup.h"
#include "host/topology.h"

namespace lodestone {
namespace {

// A waiter spins this long before it sleeps: longer than the gap between two operators of a pass, so that a busy pool
// never pays for a wake-up (some 5 µs for the waker and 50 µs for the sleeper), and short enough that an idle process
// uses no CPU.
constexpr std::chrono::microseconds kSpin{50};

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// A number that waiters wait on: spin first, then sleep. The waker takes the lock only when somebody sleeps.
class SpinThenSleep {
 public:
  // Returns once done(value) holds for the current value, and returns that value.
  template <typename Done>
  uint64_t Wait(bool spin, const Done& done) {
    if (spin) {
      const auto deadline = std::chrono::steady_clock::now() + kSpin;
      do {
        for (int i = 0; i < 64; ++i) {
          const uint64_t value = value_.load(std::memory_order_acquire);
          if (done(value)) return value;
          Pause();
        }
      } while (std::chrono::steady_clock::now() < deadline);
    }
    std::unique_lock lock(mutex_);
    // Sequentially consistent with Add: either Add sees this sleeper, or the sleeper sees Add's value.
    sleepers_.fetch_add(1);
    condition_.wait(lock, [&] { return done(value_.load()); });
    sleepers_.fetch_sub(1);
    return value_.load();
  }

  void Add(uint64_t delta) {
    value_.fetch_add(delta);
    if (sleepers_.load() == 0) return;
    // The lock orders the notification after a sleeper's last check and before its sleep, never in between.
    { const std::lock_guard lock(mutex_); }
    condition_.notify_all();
  }

  uint64_t value() const { return value_.load(std::memory_order_acquire); }

 private:
  std::atomic<uint64_t> value_{0};
  std::atomic<int> sleepers_{0};
  std::mutex mutex_;
  std::condition_variable condition_;
};

// The processor of each thread, or nothing where the pool is not pinned; see Pinning.
std::vector<int> ChooseCpus(int threads) {
  const char* wish = std::getenv("LODESTONE_PIN");
  if (wish != nullptr && std::string_view(wish) == "0") return {};
  const std::vector<CpuPlace> places = PlacesOf(AffinityCpus());
  const bool small = threads < CoresOf(places) && !(wish != nullptr && std::string_view(wish) == "1");
  if (threads == 1 || small || threads > AvailableThreads()) return {};
  return CpusForThreads(places, threads);
}

}  // namespace

struct ThreadPool::State {
  // One cache line each: workers poll `started` while others count `finished`.
  alignas(64) SpinThenSleep started;   // loops begun
  alignas(64) SpinThenSleep finished;  // pieces finished by workers, over all loops
  alignas(64) Loop loop;
  int64_t count = 0;
  bool stop = false;
  bool spin = true;
  std::vector<int> cpus;  // of each thread; empty: not pinned
  bool caller_pinned = false;
  std::vector<std::thread> workers;

  void RunPiece(int thread, int threads) const {
    const int64_t begin = count * thread / threads, end = count * (thread + 1) / threads;
    if (begin < end) loop.call(loop.object, begin, end, thread);
  }

  void Work(int thread, int threads) {
    // A refusal, as under a mask that was narrowed meanwhile, leaves the thread to the kernel.
    if (!cpus.empty()) SetAffinity(std::span(&cpus[static_cast<size_t>(thread)], 1));
    for (uint64_t seen = 0;;) {
      seen = started.Wait(spin, [seen](uint64_t value) { return value != seen; });
      if (stop) return;
      RunPiece(thread, threads);
      finished.Add(1);
    }
  }
};

ThreadPool::ThreadPool(int threads, Pinning pinning)
    : threads_(std::max(1, threads)), state_(std::make_unique<State>()) {
  State& state = *state_;
  // With more threads than processors, a spinning thread takes time from one that has work.
  state.spin = threads_ <= AvailableThreads();
  state.cpus = ChooseCpus(threads_);
  for (int thread = 1; thread < threads_; ++thread) {
    state.workers.emplace_back([this, thread] { state_->Work(thread, threads_); });
  }
  if (pinning == Pinning::kAll && !state.cpus.empty()) state.caller_pinned = SetAffinity(std::span(&state.cpus[0], 1));
}

ThreadPool::~ThreadPool() {
  state_->stop = true;
  state_->started.Add(1);
  for (std::thread& worker : state_->workers) worker.join();
  if (state_->caller_pinned) SetAffinity(AffinityCpus());
}

bool ThreadPool::pinned() const { return !state_->cpus.empty(); }

void ThreadPool::Run(int64_t count, Loop loop) {
  if (count <= 0) return;
  // One piece of work is not worth waking anybody: it would be the last thread's, and runs here under its number.
  if (threads_ == 1 || count == 1) {
    loop.call(loop.object, 0, count, count == 1 ? threads_ - 1 : 0);
    return;
  }
  State& state = *state_;
  state.loop = loop;
  state.count = count;
  const uint64_t target = state.finished.value() + static_cast<uint64_t>(threads_ - 1);
  state.started.Add(1);
  state.RunPiece(0, threads_);
  state.finished.Wait(state.spin, [target](uint64_t value) { return value >= target; });
}

int AvailableThreads() {
  const int cpus = std::max(1, static_cast<int>(AffinityCpus().size()));
  const std::optional<double> quota = CgroupCpuQuota();
  return quota ? std::clamp(static_cast<int>(std::ceil(std::min(*quota, 1e6))), 1, cpus) : cpus;
}

}  // namespace lodestone
