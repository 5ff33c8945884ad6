// What this machine is: the processor's name, its instruction sets, its caches and memory. Discovered, never assumed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace lodestone {

struct CpuFeatures {
  bool avx2 = false, fma = false, f16c = false;
  bool avx512f = false, avx512bw = false, avx512vl = false, avx512dq = false, avx512_vnni = false, avx512_bf16 = false;
  bool amx_tile = false, amx_int8 = false, amx_bf16 = false;
};

// Of the processor and the operating system together: a feature whose registers the kernel does not save is false.
CpuFeatures DetectCpuFeatures();

struct HostInfo {
  std::string cpu_name;      // as the processor calls itself
  std::string os;            // "Linux 6.1.0"
  int threads = 1;           // in the affinity mask
  int64_t memory_bytes = 0;  // installed, or the cgroup's limit where lower
  std::optional<int64_t> l1d_bytes, l2_bytes, l3_bytes;
};
HostInfo DescribeHost();

}  // namespace lodestone
