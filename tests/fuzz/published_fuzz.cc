// Published rows in CSV of any bytes are read or refused; rows that are read are figures, and series can be made of
// them.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "report/published_rows.h"
#include "report/published_training.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lodestone;
  const auto rows = ParsePublishedRows({reinterpret_cast<const char*>(data), size}, "published.csv");
  if (!rows.ok()) return 0;
  for (const PublishedRow& row : *rows) {
    LODESTONE_CHECK(row.value > 0 && std::isfinite(row.value) && row.line > 1 && !row.unit.empty());
  }
  const auto series = TrainingSeriesOf(*rows);
  if (!series.ok()) return 0;
  for (const PublishedTraining& one : *series) LODESTONE_CHECK(!one.points.empty() && one.points.front().devices > 0);
  return 0;
}
