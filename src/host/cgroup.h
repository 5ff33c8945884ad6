// The limits that Linux control groups put on this process, versions 1 and 2.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace lodestone {

// Where Linux tells them; tests give a tree of their own.
struct CgroupPaths {
  std::string self = "/proc/self/cgroup";
  std::string mount = "/sys/fs/cgroup";
};

// Bytes of memory, the lowest of this process's own group and of those above it; none where no group sets a limit.
std::optional<int64_t> CgroupMemoryLimit(const CgroupPaths& paths = {});

// Processors' worth of time, as 1.5 for 150 ms every 100 ms; likewise.
std::optional<double> CgroupCpuQuota(const CgroupPaths& paths = {});

}  // namespace lodestone
