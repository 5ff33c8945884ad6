// Threads that wait for one parallel loop at a time; the caller is one of them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace lodestone {

class ThreadPool {
 public:
  // `threads` ≥ 1 in all, the caller included. Threads beyond the affinity mask of the process are allowed but useless.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }

  // Calls body(begin, end, thread) over [0, count) in contiguous pieces, one a thread, and returns when all are done.
  // Which thread takes which piece depends on `count` and `threads()` alone. Not reentrant; `body` must not throw.
  void ParallelFor(int64_t count, const std::function<void(int64_t begin, int64_t end, int thread)>& body);

 private:
  struct State;
  int threads_;
  std::unique_ptr<State> state_;
};

// Hardware threads in the affinity mask of this process.
int AvailableThreads();

}  // namespace lodestone
