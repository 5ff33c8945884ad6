// The limits of this host, measured: how fast its memory is read and how fast its units multiply.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "hardware/host_limits.h"
#include "host/thread_pool.h"

namespace lodestone {

// Rates of the repetitions: the best is the limit, the median tells how undisturbed the host was.
struct RateSamples {
  double best = 0, median = 0;  // of the unit a second
};

struct LimitRow {
  std::string
      key;  // of the hardware file: "dram_bytes_per_s"; "int8_int4_ops_per_s" of our own kernel, not in the file
  std::string what;  // "DRAM read"
  std::string how;   // "AVX2 loads, 256.0 MiB"
  std::string unit;  // "B/s" or "op/s"
  RateSamples one, all;
  bool in_file = true;
};

struct LimitsReport {
  std::vector<LimitRow> rows;
  HostLimits limits;                    // the same, as the hardware file has it
  std::string isa;                      // of our own kernel
  std::optional<double> share_of_int8;  // our int8·int4 matmul on all threads over the best int8 unit
};

// Takes some seconds. One thread is the caller. kInfeasible where the memory for it cannot be had.
Result<LimitsReport> MeasureLimits(ThreadPool& pool);

// ${XDG_CACHE_HOME:-~/.cache}/lodestone/host.toml; an error where neither variable is set.
Result<std::string> HostLimitsPath();
// Makes the folders of the path where they lack.
Status StoreHostLimits(const HostLimits& limits, const std::string& path);

struct StoredLimits {
  std::optional<HostLimits> limits;
  std::string reason;  // why absent: not measured, or on another processor or number of threads
};
// What `lodestone bench limits` stored of this host. An error only where the file exists and cannot be read.
Result<StoredLimits> LoadHostLimits();
Result<StoredLimits> LoadHostLimits(const std::string& path);

}  // namespace lodestone
