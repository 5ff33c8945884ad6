// What this machine is: the processor's name, its instruction sets, its caches and memory. Discovered, never assumed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/status.h"

namespace lodestone {

struct CpuFeatures {
  bool avx2 = false, fma = false, f16c = false;
  bool avx512f = false, avx512bw = false, avx512vl = false, avx512dq = false, avx512_vnni = false, avx512_bf16 = false;
  bool amx_tile = false, amx_int8 = false, amx_bf16 = false;
};

// Of the processor and the operating system together: a feature whose registers the kernel does not save is false.
CpuFeatures DetectCpuFeatures();

// Asks the system, once, for the tile registers of AMX (Linux: arch_prctl ARCH_REQ_XCOMP_PERM, feature 18): without its
// permission the first tile instruction is a fault. It holds for all threads. Unsupported, with the system's reason,
// where it refuses.
Status RequestAmxTiles();

struct HostInfo {
  std::string cpu_name;      // as the processor calls itself
  std::string os;            // "Linux 6.1.0"
  int threads = 1;           // that this process can keep busy: AvailableThreads
  int cores = 1, nodes = 1;  // physical cores and memory nodes of the affinity mask
  int64_t memory_bytes = 0;  // installed, or the cgroup's limit where lower
  // When the kernel backs memory with transparent huge pages: "always", "madvise" (on request, as this program does),
  // "never"; empty where it does not say.
  std::string huge_pages;
  std::optional<int64_t> l1d_bytes, l2_bytes, l3_bytes;
};
HostInfo DescribeHost();

}  // namespace lodestone
