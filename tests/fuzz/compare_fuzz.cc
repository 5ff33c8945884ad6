// The file of a comparison, of any bytes, is read or refused; what is read has targets and batches within the bounds.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/json.h"
#include "lab/compare/compare.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lodestone;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Result<Json> toml = ParseToml(text, "compare.toml");
  if (!toml.ok()) return 0;
  const Result<Comparison> comparison = ParseComparison(*toml, "compare.toml");
  if (!comparison.ok()) {
    LODESTONE_CHECK(comparison.error().message.starts_with("compare.toml"));
    return 0;
  }
  LODESTONE_CHECK(!comparison->targets.empty() && comparison->targets.size() <= kMaxCompareTargets);
  for (const CompareTarget& target : comparison->targets) {
    LODESTONE_CHECK(!target.batches.empty() && target.batches.size() <= kMaxCompareBatches);
    for (const int batch : target.batches) LODESTONE_CHECK(batch >= 1);
  }
  return 0;
}
