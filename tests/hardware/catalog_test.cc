#include "base/catalog.h"

#include <gtest/gtest.h>

#include <set>

#include "base/units.h"
#include "hardware/hardware.h"

namespace lodestone {
namespace {

TEST(HardwareCatalog, EveryFileParsesAndIsNamedLikeItsFile) {
  int appliances = 0;
  for (const CatalogFile& file : CatalogFilesIn("hardware")) {
    SCOPED_TRACE(file.path);
    const Result<Json> json = ParseToml(file.contents, file.path);
    ASSERT_TRUE(json.ok()) << json.error().message;
    ASSERT_NE(json->Find("name"), nullptr);
    EXPECT_EQ(*json->Find("name")->as_string(), file.stem());
    const std::string kind = *json->Find("kind")->as_string();
    EXPECT_TRUE(
        std::set<std::string>({"chip", "card", "appliance", "assumptions", "machine", "efficiency"}).contains(kind))
        << kind;
    if (kind == "appliance") ++appliances;
  }
  const Result<std::vector<ApplianceSpec>> specs = CatalogAppliances();
  ASSERT_TRUE(specs.ok()) << specs.error().message;
  EXPECT_EQ(static_cast<int>(specs->size()), appliances);
}

TEST(HardwareCatalog, AppliancesAreSortedByName) {
  const Result<std::vector<ApplianceSpec>> specs = CatalogAppliances();
  ASSERT_TRUE(specs.ok()) << specs.error().message;
  ASSERT_GE(specs->size(), 2u);
  EXPECT_EQ((*specs)[0].name, "northpole-16");
  EXPECT_EQ((*specs)[1].name, "northpole-288");
}

// Of our own catalogue we ask more than the reader does of a user's file.
TEST(HardwareCatalog, EveryFigureSaysWhereItComesFrom) {
  const Result<std::vector<ApplianceSpec>> specs = CatalogAppliances();
  ASSERT_TRUE(specs.ok()) << specs.error().message;
  for (const ApplianceSpec& spec : *specs) {
    std::set<std::string> names;
    for (const NamedFigure& named : FiguresOf(spec)) {
      SCOPED_TRACE(spec.name + " " + named.name);
      EXPECT_TRUE(names.insert(named.name).second);
      EXPECT_GT(named.figure.note.size(), 5u);
      if (named.figure.source == FieldSource::kAssumed) {
        ASSERT_TRUE(named.figure.low && named.figure.high);
        EXPECT_LT(*named.figure.low, *named.figure.high);
      }
    }
    EXPECT_TRUE(names.contains("card.chip.operator_start_cycles"));
    EXPECT_TRUE(names.contains("card.power_w"));
    EXPECT_TRUE(names.contains("host_turnaround_s"));
  }
}

// Every constant of the simulated appliances without a source stands in one file, and nothing else stands there.
TEST(HardwareCatalog, WhatNoSourceGivesStandsInOneFile) {
  const std::string_view kFile = "hardware/northpole-assumptions.toml";
  std::set<std::string> assumed;
  for (const CatalogFile& file : CatalogFilesIn("hardware")) {
    const Result<Json> json = ParseToml(file.contents, file.path);
    ASSERT_TRUE(json.ok()) << json.error().message;
    const std::string& kind = *json->Find("kind")->as_string();
    if (kind == "machine" || kind == "efficiency") continue;  // those keep what they assume beside what they know
    const auto expect_rest = [&](const Json& figures, const std::string& table) {
      for (const auto& [key, figure] : *figures.as_object()) {
        if (figure.Find("value") == nullptr) continue;
        SCOPED_TRACE(std::string(file.path) + " " + table + "." + key);
        const bool ranged = figure.Find("low") != nullptr && figure.Find("high") != nullptr;
        EXPECT_EQ(ranged, file.path == kFile);
        EXPECT_TRUE(*figure.Find("source")->as_string() != "assumed" || ranged);
        if (!ranged) continue;
        assumed.insert(table + "." + key);
        EXPECT_LT(*figure.Find("low")->as_number(), *figure.Find("high")->as_number());
        EXPECT_GT(figure.Find("note")->as_string()->size(), 40u);
      }
    };
    if (file.path == kFile) {
      for (const char* table : {"chip", "card", "appliance"}) expect_rest(*json->Find(table), table);
    } else {
      expect_rest(*json, std::string(file.stem()));
    }
  }
  // And every one of them is a figure of the rack, which has them all.
  const Result<ApplianceSpec> rack = LoadAppliance("northpole-288");
  ASSERT_TRUE(rack.ok()) << rack.error().message;
  std::set<std::string> used;
  for (const NamedFigure& named : FiguresOf(*rack)) {
    if (!RestsOnNoSource(named.figure)) continue;
    const std::string prefix = named.name.starts_with("card.chip.") ? "card." : "";
    used.insert(named.name.find('.') == std::string::npos ? "appliance." + named.name
                                                          : named.name.substr(prefix.size()));
    // The unit is in the key, unless it is a plain count.
    const bool count =
        named.name.ends_with("_lanes_per_core") || named.name.ends_with("_columns") || named.name.ends_with("_rows");
    bool unit = count;
    for (const char* ending : {"_hz", "_bytes_per_cycle", "_bytes", "_cycles", "_pj", "_w", "_s"}) {
      unit |= named.name.ends_with(ending);
    }
    EXPECT_TRUE(unit) << named.name;
  }
  EXPECT_EQ(used, assumed);
}

TEST(HardwareCatalog, NorthPole16HasThePublishedFigures) {
  const Result<ApplianceSpec> spec = LoadAppliance("northpole-16");
  ASSERT_TRUE(spec.ok()) << spec.error().message;
  EXPECT_EQ(spec->cards, 16);
  EXPECT_EQ(spec->cards_per_server, 16);
  EXPECT_EQ(spec->card.name, "northpole-card");
  const ChipSpec& chip = spec->card.chip;
  EXPECT_EQ(chip.cores.value * chip.core_memory_bytes.value, 192.0 * kMiB);
  EXPECT_EQ(chip.framebuffer_bytes.value, 32.0 * kMiB);
  EXPECT_EQ(chip.transistors.value, 22e9);
  // 256 cores × 4096 ops × 400 MHz = 419.4 T; 256 × 128 B × 400 MHz = 13.1 TB/s.
  EXPECT_DOUBLE_EQ(chip.cores.value * chip.int4_ops_per_core_cycle.value * chip.clock_hz.value, 419.4304e12);
  EXPECT_DOUBLE_EQ(chip.cores.value * chip.memory_bytes_per_core_cycle.value * chip.clock_hz.value, 13.1072e12);
  EXPECT_EQ(spec->card.power_w.value * spec->cards, 672);
  EXPECT_NEAR(spec->card.link_bytes_per_s.value, 8e9 * 8 * 128 / 130 / 8, 1e6);  // PCIe Gen3 x8
  EXPECT_FALSE(spec->network_bytes_per_s.has_value());
}

TEST(HardwareCatalog, NorthPole288HasEighteenServersAndANetwork) {
  const Result<ApplianceSpec> spec = LoadAppliance("northpole-288");
  ASSERT_TRUE(spec.ok()) << spec.error().message;
  EXPECT_EQ(spec->cards, 18 * spec->cards_per_server);
  ASSERT_TRUE(spec->network_bytes_per_s && spec->network_latency_s);
  EXPECT_EQ(spec->network_bytes_per_s->value, 200e9 / 8);
}

TEST(HardwareCatalog, UnknownNamesListTheKnownOnes) {
  const Result<ApplianceSpec> spec = LoadAppliance("northpole16");
  ASSERT_FALSE(spec.ok());
  EXPECT_EQ(spec.error().code, ErrorCode::kNotFound);
  EXPECT_NE(spec.error().message.find("northpole-16, northpole-288"), std::string::npos) << spec.error().message;
  EXPECT_NE(spec.error().message.find("did you mean 'northpole-16'?"), std::string::npos) << spec.error().message;
  const Result<ApplianceSpec> other = LoadAppliance(std::string(5000, 'x'));
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().message.find("did you mean"), std::string::npos);
  EXPECT_LT(other.error().message.size(), 400u);
}

TEST(HardwareCatalog, ACardIsNoAppliance) {
  const Result<ApplianceSpec> spec = LoadAppliance("northpole-card");
  ASSERT_FALSE(spec.ok());
  EXPECT_NE(spec.error().message.find("'northpole-card' is a card, not an appliance"), std::string::npos)
      << spec.error().message;
}

TEST(HardwareCatalog, AssumptionsAreNoAppliance) {
  const Result<ApplianceSpec> spec = LoadAppliance("northpole-assumptions");
  ASSERT_FALSE(spec.ok());
  EXPECT_NE(spec.error().message.find("'northpole-assumptions' is a file of assumptions, not an appliance"),
            std::string::npos)
      << spec.error().message;
}

TEST(HardwareCatalog, MissingFilesSaySo) {
  for (const char* path : {"./nothing/here", "nothing.toml"}) {
    const Result<ApplianceSpec> spec = LoadAppliance(path);
    ASSERT_FALSE(spec.ok());
    EXPECT_EQ(spec.error().code, ErrorCode::kNotFound);
    EXPECT_NE(spec.error().message.find("does not exist"), std::string::npos) << spec.error().message;
    EXPECT_NE(spec.error().message.find(path), std::string::npos) << spec.error().message;
  }
  EXPECT_FALSE(LoadAppliance("/").ok());
}

}  // namespace
}  // namespace lodestone
