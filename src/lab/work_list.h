// Independent pieces of work that the threads of a pool take one after another: what each gives does not depend on who
// took it.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>

#include "host/thread_pool.h"

namespace lodestone {

// Calls body(i) once for every i < count. Pieces may differ much in length, so a thread takes the next when it is done.
template <typename Body>
void ForEach(size_t count, int threads, const Body& body) {
  ThreadPool pool(std::max(1, std::min<int>(threads, static_cast<int>(std::min<size_t>(count, 1024)))));
  std::atomic<size_t> next = 0;
  pool.ParallelFor(pool.threads(), [&](int64_t, int64_t, int) {
    for (size_t i = next++; i < count; i = next++) body(i);
  });
}

}  // namespace lodestone
