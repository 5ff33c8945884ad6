// An appliance or a host in TOML of any bytes is read or refused; what is read has figures within their ranges.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/json.h"
#include "hardware/hardware.h"
#include "hardware/host_limits.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lodestone;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Result<Json> toml = ParseToml(text, "appliance.toml");
  if (!toml.ok()) return 0;
  if (const Result<HostLimits> host = ParseHostLimits(*toml, "host.toml"); host.ok()) {
    LODESTONE_CHECK(!host->cpu_name.empty() && host->threads >= 1);
    LODESTONE_CHECK(ParseHostLimits(*ParseToml(ToToml(*host), "again.toml"), "again.toml").ok());
  }
  const Result<ApplianceSpec> spec = ParseAppliance(*toml, "appliance.toml");
  if (!spec.ok()) {
    LODESTONE_CHECK(!spec.error().message.empty());
    return 0;
  }
  LODESTONE_CHECK(spec->cards >= 1 && !spec->name.empty());
  for (const NamedFigure& named : FiguresOf(*spec)) {
    LODESTONE_CHECK(std::isfinite(named.figure.value) && named.figure.value >= 0);
    if (named.figure.low) LODESTONE_CHECK(*named.figure.low <= named.figure.value);
    if (named.figure.high) LODESTONE_CHECK(*named.figure.high >= named.figure.value);
  }
  return 0;
}
