#include "host/energy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>

#include "host/sysfs.h"

namespace lodestone {
namespace {

namespace fs = std::filesystem;

Result<uint64_t> ReadNumber(const std::string& path) {
  errno = 0;
  std::ifstream file(path);
  std::string line;
  if (!file || !std::getline(file, line)) {
    const int reason = errno;
    const char* hint = reason == EACCES ? "; the kernel lets only root read it" : "";
    return IoError(fmt::format("{}: {}{}", path, reason != 0 ? std::strerror(reason) : "empty", hint));
  }
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
  if (error != std::errc() || end != line.data() + line.size()) {
    return Invalid(fmt::format("{}: expected a count of microjoules, found '{}'", path, line));
  }
  return value;
}

std::string ReadName(const fs::path& zone) { return FirstLine((zone / "name").string()); }

// Top-level package zones in a fixed order. "intel-rapl:0" is a zone, "intel-rapl:0:1" a part of it. The same package
// can appear again under "intel-rapl-mmio", another way to the same counter; '-' sorts before ':', so order by length
// first.
std::vector<fs::path> PackageZones(const std::string& root, std::error_code& error) {
  std::vector<fs::path> candidates;
  for (fs::directory_iterator entry(root, error), end; !error && entry != end; entry.increment(error)) {
    const std::string zone = entry->path().filename().string();
    if (std::count(zone.begin(), zone.end(), ':') == 1) candidates.push_back(entry->path());
  }
  std::sort(candidates.begin(), candidates.end(), [](const fs::path& a, const fs::path& b) {
    const std::string left = a.filename().string(), right = b.filename().string();
    return std::pair(left.size(), left) < std::pair(right.size(), right);
  });
  std::vector<fs::path> zones;
  std::set<std::string> seen;
  for (const fs::path& zone : candidates) {
    const std::string name = ReadName(zone);
    if (name.starts_with("package") && seen.insert(name).second) zones.push_back(zone);
  }
  return zones;
}

// The DRAM zone among the parts of a package: "intel-rapl:0:1" beside "intel-rapl:0".
std::optional<fs::path> DramZone(const std::string& root, const fs::path& package) {
  const std::string prefix = package.filename().string() + ":";
  std::error_code error;
  for (fs::directory_iterator entry(root, error), end; !error && entry != end; entry.increment(error)) {
    if (entry->path().filename().string().starts_with(prefix) && ReadName(entry->path()) == "dram")
      return entry->path();
  }
  return std::nullopt;
}

}  // namespace

Result<EnergyMeter::Zone> EnergyMeter::OpenZone(const std::string& folder) {
  Zone zone;
  zone.energy_path = folder + "/energy_uj";
  LODESTONE_ASSIGN_OR_RETURN(zone.last_uj, ReadNumber(zone.energy_path));
  LODESTONE_ASSIGN_OR_RETURN(zone.range_uj, ReadNumber(folder + "/max_energy_range_uj"));
  return zone;
}

Result<EnergyMeter> EnergyMeter::Open(const std::string& powercap_root) {
  std::error_code error;
  const std::vector<fs::path> packages = PackageZones(powercap_root, error);
  if (error) return NotFound(fmt::format("{}: {}; this kernel has no energy counters", powercap_root, error.message()));
  if (packages.empty()) {
    return NotFound(fmt::format(
        "{}: no package zone; this host has no energy counter, as is usual in a virtual machine", powercap_root));
  }
  EnergyMeter meter;
  for (const fs::path& package : packages) {
    LODESTONE_ASSIGN_OR_RETURN(Zone zone, OpenZone(package.string()));
    meter.packages_.push_back(std::move(zone));
    // Some packages' memory without the others' would be a sum of nothing in particular.
    const std::optional<fs::path> dram = DramZone(powercap_root, package);
    Result<Zone> dram_zone = dram ? OpenZone(dram->string()) : Result<Zone>(NotFound("no DRAM zone"));
    if (dram_zone.ok()) meter.dram_.push_back(*std::move(dram_zone));
  }
  if (meter.dram_.size() != meter.packages_.size()) meter.dram_.clear();
  return meter;
}

Result<std::optional<double>> EnergyMeter::DramJoulesSinceLast() {
  if (dram_.empty()) return std::optional<double>();
  LODESTONE_ASSIGN_OR_RETURN(const double joules, Advance(dram_));
  return std::optional<double>(joules);
}

Result<double> EnergyMeter::Advance(std::vector<Zone>& zones) {
  double joules = 0;
  for (Zone& zone : zones) {
    LODESTONE_ASSIGN_OR_RETURN(const uint64_t now, ReadNumber(zone.energy_path));
    if (now < zone.last_uj && zone.range_uj < zone.last_uj) {
      return IoError(fmt::format("{}: the counter fell from {} to {} and its stated range is {}", zone.energy_path,
                                 zone.last_uj, now, zone.range_uj));
    }
    // The counter runs 0..range and starts again.
    const uint64_t spent = now >= zone.last_uj ? now - zone.last_uj : zone.range_uj - zone.last_uj + now + 1;
    joules += static_cast<double>(spent) * 1e-6;
    zone.last_uj = now;
  }
  return joules;
}

}  // namespace lodestone
