#include "host/cgroup.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string_view>

#include "host/sysfs.h"

namespace lodestone {
namespace {

// "max", the word for no limit, is no number, and so is the -1 of version 1.
std::optional<int64_t> Positive(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value <= 0) return std::nullopt;
  return value;
}

// Calls visit(folder, version) for the folders of this process's own group and of those above it, of the version 2
// hierarchy and of the version 1 hierarchy of `controller`. A container may see the path of its host, which does not
// exist here; the walk upwards ends at the mount, which is then the container's own group.
template <typename Visit>
void ForEachGroup(const CgroupPaths& paths, std::string_view controller, const Visit& visit) {
  std::ifstream file(paths.self);
  for (std::string line; std::getline(file, line);) {  // "4:memory:/group" or, version 2, "0::/group"
    const size_t controllers = line.find(':');
    const size_t path = controllers == std::string::npos ? controllers : line.find(':', controllers + 1);
    if (path == std::string::npos) continue;
    const std::string names = "," + line.substr(controllers + 1, path - controllers - 1) + ",";
    const bool unified = names == ",,";
    if (!unified && names.find("," + std::string(controller) + ",") == std::string::npos) continue;
    const std::string root = unified ? paths.mount : paths.mount + "/" + std::string(controller);
    for (std::string group = line.substr(path + 1);;) {
      visit(root + (group == "/" ? "" : group), unified ? 2 : 1);
      if (group.empty() || group == "/") break;
      const size_t slash = group.rfind('/');
      group.resize(slash == std::string::npos ? 0 : slash);
    }
  }
}

template <typename Number>
void Lower(std::optional<Number>& limit, Number value) {
  limit = limit ? std::min(*limit, value) : value;
}

}  // namespace

std::optional<int64_t> CgroupMemoryLimit(const CgroupPaths& paths) {
  std::optional<int64_t> limit;
  ForEachGroup(paths, "memory", [&limit](const std::string& folder, int version) {
    const std::string file = folder + (version == 2 ? "/memory.max" : "/memory.limit_in_bytes");
    if (const std::optional<int64_t> bytes = Positive(FirstLine(file))) Lower(limit, *bytes);
  });
  return limit;
}

std::optional<double> CgroupCpuQuota(const CgroupPaths& paths) {
  std::optional<double> limit;
  ForEachGroup(paths, "cpu", [&limit](const std::string& folder, int version) {
    std::string quota, period;
    if (version == 2) {
      std::istringstream(FirstLine(folder + "/cpu.max")) >> quota >> period;  // "150000 100000" or "max 100000"
    } else {
      quota = FirstLine(folder + "/cpu.cfs_quota_us");
      period = FirstLine(folder + "/cpu.cfs_period_us");
    }
    const std::optional<int64_t> time = Positive(quota), every = Positive(period);
    if (time && every) Lower(limit, static_cast<double>(*time) / static_cast<double>(*every));
  });
  return limit;
}

}  // namespace lodestone
