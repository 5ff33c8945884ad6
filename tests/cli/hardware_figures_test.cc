#include "cli/hardware_figures.h"

#include <gtest/gtest.h>

namespace lodestone::cli {
namespace {

TEST(HardwareFigures, UnitsFollowFromNames) {
  EXPECT_EQ(UnitOf("memory.HBM2.bytes_per_s"), "B/s");
  EXPECT_EQ(UnitOf("peak_ops_per_s.bf16"), "OP/s");
  EXPECT_EQ(UnitOf("vector_ops_per_s"), "OP/s");
  EXPECT_EQ(UnitOf("memory.HBM2.capacity_bytes"), "B");
  EXPECT_EQ(UnitOf("limit_w"), "W");
  EXPECT_EQ(UnitOf("launch_s"), "s");
  EXPECT_EQ(UnitOf("price_usd_per_hour"), "$/h");
  EXPECT_EQ(UnitOf("area_mm2"), "mm²");
  EXPECT_EQ(UnitOf("transistors"), "");
  EXPECT_EQ(UnitOf("matrix"), "");  // a share
}

TEST(HardwareFigures, PrefixesAreOfThousands) {
  EXPECT_EQ(WithPrefix(45.3), "45.3");
  EXPECT_EQ(WithPrefix(1555e9), "1.555 T");
  EXPECT_EQ(WithPrefix(312e12), "312 T");
  EXPECT_EQ(WithPrefix(20e15), "20 P");
  EXPECT_EQ(WithPrefix(999.9e9), "999.9 G");
  EXPECT_EQ(WithPrefix(999.97e9), "1 T");
  EXPECT_EQ(WithPrefix(0), "0");
}

TEST(HardwareFigures, ValuesCarryTheirUnit) {
  EXPECT_EQ(ShowValue("memory.HBM2.bytes_per_s", 1555e9), "1.555 TB/s");
  EXPECT_EQ(ShowValue("link_bytes_per_s", 300), "300 B/s");
  EXPECT_EQ(ShowValue("memory.HBM2.capacity_bytes", 42949672960.0), "40.0 GiB");
  EXPECT_EQ(ShowValue("launch_s", 5e-6), "5.00 µs");
  EXPECT_EQ(ShowValue("run_s", 0), "0 s");
  EXPECT_EQ(ShowValue("sparse_speedup", 2), "× 2");
  EXPECT_EQ(ShowValue("matrix", 0.7), "0.7");
}

TEST(HardwareFigures, AFigureSaysItsSourceRangeAndNote) {
  const NamedFigure assumed{
      "limit_w", {.value = 12, .source = FieldSource::kAssumed, .note = "a guess", .low = 8.0, .high = 27.0}};
  EXPECT_EQ(ShowFigure(assumed, ""), "  limit_w = 12 W (assumed, 8 W to 27 W)\n      a guess\n");
  const NamedFigure stated{"limit_w", {.value = 400, .source = FieldSource::kDataSheet, .note = "Sheet"}};
  EXPECT_EQ(ShowFigure(stated, "Sheet"), "  limit_w = 400 W (data sheet)\n");
  EXPECT_EQ(*ToJson(stated).Find("unit")->as_string(), "W");
  EXPECT_TRUE(ToJson(stated).Find("low")->is_null());
}

}  // namespace
}  // namespace lodestone::cli
