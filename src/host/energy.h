// Energy of this host from the kernel's powercap counters, or the reason why there is none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace lodestone {

// Reads the package zones of /sys/class/powercap and the DRAM zones below them, handling wrap-around.
//
// Zones overlap: the platform ("psys") contains the packages, a package its cores and graphics; none of these is added
// to a package. DRAM stands below its package in the tree and outside it in the count, so it has a sum of its own. A
// package may appear a second time by another way to the same counter (MSR and MMIO); the first is read. A counter that
// is set back, as by sleep, cannot be told from one that wrapped.
class EnergyMeter {
 public:
  // An error says why this host has no usable counter: no powercap, no package zone, or no permission (root only).
  static Result<EnergyMeter> Open(const std::string& powercap_root = "/sys/class/powercap");

  // Joules since Open or the previous call, summed over packages; an error if a counter vanished. The counters step
  // about every millisecond: intervals below 20 ms are noise.
  Result<double> JoulesSinceLast() { return Advance(packages_); }
  // Likewise of the memory, which no package contains; none where not every package tells it (servers do).
  Result<std::optional<double>> DramJoulesSinceLast();

 private:
  struct Zone {
    std::string energy_path;
    uint64_t last_uj = 0, range_uj = 0;
  };
  static Result<Zone> OpenZone(const std::string& folder);
  static Result<double> Advance(std::vector<Zone>& zones);

  std::vector<Zone> packages_;
  std::vector<Zone> dram_;  // one a package, or none
};

}  // namespace lodestone
