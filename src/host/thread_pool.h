// Threads that wait for one parallel loop at a time; the caller is one of them.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace lodestone {

// Which threads of a pool stay on one processor, chosen as host/topology.h says.
//
// Workers are pinned where the pool is as large as the process's share of the machine: at least a thread for each core
// of its affinity mask and at most one for each processor. A smaller pool is left to the kernel, since two programs
// with small pools would otherwise choose the same processors and leave others idle; a larger one cannot have a
// processor a thread. LODESTONE_PIN=0 pins nothing, LODESTONE_PIN=1 also small pools.
enum class Pinning : uint8_t {
  kWorkers,
  kAll,  // also the thread that makes the pool, until the pool goes; that thread must then run the loops and end the
         // pool
};

class ThreadPool {
 public:
  // `threads` ≥ 1 in all, the caller included. Threads beyond the affinity mask of the process are allowed but useless.
  explicit ThreadPool(int threads, Pinning pinning = Pinning::kWorkers);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }
  // Whether its workers were given a processor each.
  bool pinned() const;

  // Calls body(begin, end, thread) over [0, count) in contiguous pieces, one a thread, and returns when all are done.
  // Which thread takes which piece depends on `count` and `threads()` alone: memory first touched in one loop is near
  // its thread in the next. Not reentrant; `body` must not throw. Allocates nothing.
  template <typename Body>
  void ParallelFor(int64_t count, const Body& body) {
    static_assert(std::is_invocable_v<const Body&, int64_t, int64_t, int>);
    Run(count, {&body, [](const void* object, int64_t begin, int64_t end, int thread) {
                  (*static_cast<const Body*>(object))(begin, end, thread);
                }});
  }

 private:
  // A borrowed callable: it outlives the loop, so that nothing needs to be copied.
  struct Loop {
    const void* object = nullptr;
    void (*call)(const void* object, int64_t begin, int64_t end, int thread) = nullptr;
  };
  void Run(int64_t count, Loop loop);

  struct State;
  int threads_;
  std::unique_ptr<State> state_;
};

// How many threads this process can keep busy: the processors of its affinity mask, or fewer where its control group
// has a quota of processor time, rounded up.
int AvailableThreads();

}  // namespace lodestone
