// Machines by name: the catalogue, and a user's files.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "base/quote.h"
#include "hardware/hardware_catalog.h"
#include "hardware/machine.h"

namespace lodestone {
namespace {

constexpr size_t kMaxFileBytes = size_t{1} << 20;

// A file of any kind that describes a machine.
Result<Machine> LoadFile(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    return NotFound(
        fmt::format("no machine file {}: it does not exist; 'lodestone hardware list' names the machines of "
                    "the catalogue",
                    Quoted(path)));
  }
  LODESTONE_ASSIGN_OR_RETURN(const Json toml, ReadTomlFile(path, kMaxFileBytes));
  const std::string kind = KindOf(toml);
  if (kind == "appliance") {
    LODESTONE_ASSIGN_OR_RETURN(const ApplianceSpec spec, ParseAppliance(toml, path));
    return MachineOf(spec);
  }
  if (kind == "host") {
    LODESTONE_ASSIGN_OR_RETURN(const HostLimits limits, ParseHostLimits(toml, path));
    return MachineOf(limits);
  }
  return ParseMachine(toml, path);
}

}  // namespace

Result<Machine> LoadMachine(const std::string& name_or_path) {
  if (IsHardwarePath(name_or_path)) return LoadFile(name_or_path);
  if (KindOfHardware(name_or_path) == "appliance") {
    LODESTONE_ASSIGN_OR_RETURN(const ApplianceSpec spec, LoadAppliance(name_or_path));
    return MachineOf(spec);
  }
  const Result<HardwareFile> found = FindHardwareFile("machine", name_or_path);
  if (!found.ok()) {
    return Error{found.error().code,
                 fmt::format("{}; so are the appliances {}; a file of your own is named by its path, such as "
                             "./my-machine.toml",
                             found.error().message, fmt::join(HardwareNames("appliance"), ", "))};
  }
  return ParseMachine(found->json, found->file);
}

const Result<std::vector<Machine>>& CatalogMachines() {
  static const auto machines = []() -> Result<std::vector<Machine>> {
    std::vector<Machine> all;
    for (const std::string& name : HardwareNames("machine")) {
      LODESTONE_ASSIGN_OR_RETURN(Machine machine, LoadMachine(name));
      all.push_back(std::move(machine));
    }
    return all;
  }();
  return machines;
}

}  // namespace lodestone
