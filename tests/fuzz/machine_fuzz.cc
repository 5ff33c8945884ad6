// A machine or a file of efficiency factors in TOML of any bytes is read or refused; what is read has figures within
// their ranges, and every question about it is answered.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/json.h"
#include "hardware/efficiency.h"
#include "hardware/machine.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lodestone;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Result<Json> toml = ParseToml(text, "machine.toml");
  if (!toml.ok()) return 0;
  if (const auto entries = ParseEfficiency(*toml, "efficiency.toml"); entries.ok()) {
    for (const EfficiencyEntry& entry : *entries)
      LODESTONE_CHECK(entry.machine.empty() != entry.efficiency_class.empty());
  }
  const MachineReading reading = ReadMachine(*toml, "machine.toml");
  LODESTONE_CHECK(reading.faults.size() <= kMaxMachineFaults);
  for (const Error& fault : reading.faults) LODESTONE_CHECK(fault.message.starts_with("machine.toml"));
  if (!reading.faults.empty()) return 0;
  const Machine& machine = reading.machine;
  LODESTONE_CHECK(!machine.name.empty() && !machine.memory.empty() && machine.devices_per_server >= 1);
  for (const NamedFigure& named : FiguresOf(machine)) {
    LODESTONE_CHECK(std::isfinite(named.figure.value) && named.figure.value >= 0);
    if (named.figure.low) LODESTONE_CHECK(*named.figure.low <= named.figure.value);
    if (named.figure.high) LODESTONE_CHECK(*named.figure.high >= named.figure.value);
  }
  RemarksOn(machine);
  LODESTONE_CHECK(!NeedsOf(machine).empty());
  if (const auto ridge = RidgePoint(machine, Code::kInt8)) LODESTONE_CHECK(*ridge > 0);
  return 0;
}
