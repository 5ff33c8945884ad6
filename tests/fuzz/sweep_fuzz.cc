// The file of a sweep, of any bytes, is read or refused; what is read has axes within the bounds.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/json.h"
#include "lab/sweep.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lodestone;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Result<Json> toml = ParseToml(text, "sweep.toml");
  if (!toml.ok()) return 0;
  const Result<Sweep> sweep = ParseSweep(*toml, "sweep.toml");
  if (!sweep.ok()) {
    LODESTONE_CHECK(sweep.error().message.starts_with("sweep.toml"));
    return 0;
  }
  LODESTONE_CHECK(sweep->points() >= 1 && sweep->points() <= kMaxSweepPoints);
  for (const SweepSetting& setting : sweep->workload) LODESTONE_CHECK(setting.values.size() == 1);
  for (const SweepSetting& axis : sweep->axes) LODESTONE_CHECK(!axis.values.empty() && axis.line > 0);
  return 0;
}
