// Time on the wall, and of this process on its processors: less of the second than threads × the first tells that
// something else ran.
#pragma once

#include <time.h>

#include <chrono>

namespace lodestone {

class Stopwatch {
 public:
  double Seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }
  double CpuSeconds() const { return CpuNow() - cpu_begin_; }

 private:
  static double CpuNow() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
  }

  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  double cpu_begin_ = CpuNow();
};

}  // namespace lodestone
