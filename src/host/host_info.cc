// What Linux and CPUID say about this machine.
#include <fmt/format.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <vector>

#include "host/cgroup.h"
#include "host/cpu.h"
#include "host/sysfs.h"
#include "host/thread_pool.h"
#include "host/topology.h"

#if defined(__x86_64__)
#include <cpuid.h>

#include <array>
#include <cstring>
#endif

namespace lodestone {
namespace {

// "48K" and "1024K" are bytes × 1024, "32M" × 1024²; anything else is unknown.
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

// "always [madvise] never": the word in brackets.
std::string HugePages() {
  const std::string line = FirstLine("/sys/kernel/mm/transparent_hugepage/enabled");
  const size_t begin = line.find('['), end = line.find(']', begin);
  return begin == std::string::npos || end == std::string::npos ? "" : line.substr(begin + 1, end - begin - 1);
}

void ReadCaches(int cpu, HostInfo& info) {
  for (int index = 0; index < 8; ++index) {
    const std::string folder = fmt::format("/sys/devices/system/cpu/cpu{}/cache/index{}/", cpu, index);
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
  const std::vector<CpuPlace> places = PlacesOf(AffinityCpus());
  info.cores = CoresOf(places);
  info.nodes = NodesOf(places);
  info.huge_pages = HugePages();
  utsname os{};
  info.os = uname(&os) == 0 ? fmt::format("{} {}", os.sysname, os.release) : "unknown system";
  struct sysinfo memory {};
  if (sysinfo(&memory) == 0) {
    info.memory_bytes = static_cast<int64_t>(memory.totalram) * static_cast<int64_t>(memory.mem_unit);
    info.memory_bytes = std::min(info.memory_bytes, CgroupMemoryLimit().value_or(info.memory_bytes));
  }
  ReadCaches(AffinityCpus().front(), info);
  return info;
}

}  // namespace lodestone
