#include "host/process_memory.h"

#include <sys/resource.h>

#include <charconv>
#include <fstream>
#include <string>
#include <string_view>

namespace lodestone {
namespace {

// "VmHWM:\t  123456 kB" of this program alone: getrusage also counts what the process held before it became this
// program, such as the memory of a parent that forked.
std::optional<int64_t> HighWaterMark() {
  constexpr std::string_view kKey = "VmHWM:";
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with(kKey)) continue;
    const size_t digits = line.find_first_of("0123456789");
    int64_t kib = 0;
    if (digits == std::string::npos) return std::nullopt;
    const auto [end, error] = std::from_chars(line.data() + digits, line.data() + line.size(), kib);
    if (error != std::errc() || kib <= 0) return std::nullopt;
    return kib * 1024;
  }
  return std::nullopt;
}

}  // namespace

std::optional<int64_t> PeakResidentBytes() {
  if (const std::optional<int64_t> bytes = HighWaterMark()) return bytes;
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0 || usage.ru_maxrss <= 0) return std::nullopt;
  return int64_t{usage.ru_maxrss} * 1024;  // Linux counts in KiB
}

}  // namespace lodestone
