// Energy of this host from the kernel's powercap counters, or the reason why there is none.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace lodestone {

// Reads the top-level package zones of /sys/class/powercap (never a zone and its parent), handling wrap-around.
class EnergyMeter {
 public:
  // An error says why this host has no usable counter: no powercap, no package zone, or no permission (root only).
  static Result<EnergyMeter> Open(const std::string& powercap_root = "/sys/class/powercap");

  // Joules since Open or the previous call, summed over packages; an error if a counter vanished.
  Result<double> JoulesSinceLast();

 private:
  struct Zone {
    std::string energy_path;
    uint64_t last_uj = 0, range_uj = 0;
  };
  std::vector<Zone> zones_;
};

}  // namespace lodestone
