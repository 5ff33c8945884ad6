// What Linux and CPUID say about this machine.
#include <fmt/format.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string>
#include <string_view>

#include "host/cpu.h"
#include "host/thread_pool.h"

#if defined(__x86_64__)
#include <cpuid.h>

#include <array>
#include <cstring>
#endif

namespace lodestone {
namespace {

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// "48K" and "1024K" are bytes × 1024, "32M" × 1024²; anything else is unknown. "max", a cgroup's word for no limit, is
// too.
std::optional<int64_t> ParseSize(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value <= 0) return std::nullopt;
  const std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  if (unit.empty()) return value;
  if (unit == "K") return value << 10;
  if (unit == "M") return value << 20;
  return std::nullopt;
}

std::string CpuName() {
#if defined(__x86_64__)
  constexpr unsigned kBrandString = 0x80000002;  // three leaves of 16 characters
  std::array<char, 49> brand{};
  for (unsigned part = 0; part < 3; ++part) {
    std::array<unsigned, 4> r{};
    if (__get_cpuid(kBrandString + part, &r[0], &r[1], &r[2], &r[3]) == 0) break;
    std::memcpy(brand.data() + 16 * part, r.data(), 16);
  }
  const std::string_view name(brand.data());
  const size_t begin = name.find_first_not_of(' '), end = name.find_last_not_of(' ');
  if (begin != std::string_view::npos) return std::string(name.substr(begin, end - begin + 1));
#endif
  return "unknown processor";
}

// The limits of this process's own cgroup and of those above it, version 2 and version 1.
int64_t MemoryLimit(int64_t installed) {
  int64_t limit = installed;
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const size_t controllers = line.find(':');
    const size_t path = line.find(':', controllers + 1);
    if (controllers == std::string::npos || path == std::string::npos) continue;
    const std::string names = line.substr(controllers + 1, path - controllers - 1);
    if (!names.empty() && names != "memory") continue;
    const std::string root = names.empty() ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    const char* key = names.empty() ? "/memory.max" : "/memory.limit_in_bytes";
    std::string group = line.substr(path + 1);
    for (;;) {
      if (const auto bytes = ParseSize(FirstLine(root + (group == "/" ? "" : group) + key)))
        limit = std::min(limit, *bytes);
      if (group.empty() || group == "/") break;
      const size_t slash = group.rfind('/');
      group.resize(slash == std::string::npos ? 0 : slash);
    }
  }
  return limit;
}

void ReadCaches(HostInfo& info) {
  for (int index = 0; index < 8; ++index) {
    const std::string folder = fmt::format("/sys/devices/system/cpu/cpu0/cache/index{}/", index);
    const std::string level = FirstLine(folder + "level"), type = FirstLine(folder + "type");
    const auto bytes = ParseSize(FirstLine(folder + "size"));
    if (type == "Instruction") continue;
    if (level == "1") info.l1d_bytes = bytes;
    if (level == "2") info.l2_bytes = bytes;
    if (level == "3") info.l3_bytes = bytes;
  }
}

}  // namespace

HostInfo DescribeHost() {
  HostInfo info;
  info.cpu_name = CpuName();
  info.threads = AvailableThreads();
  utsname os{};
  info.os = uname(&os) == 0 ? fmt::format("{} {}", os.sysname, os.release) : "unknown system";
  struct sysinfo memory {};
  if (sysinfo(&memory) == 0) {
    info.memory_bytes = MemoryLimit(static_cast<int64_t>(memory.totalram) * static_cast<int64_t>(memory.mem_unit));
  }
  ReadCaches(info);
  return info;
}

}  // namespace lodestone
