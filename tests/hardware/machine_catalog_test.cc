// What is asked of every machine of the catalogue.
#include <gtest/gtest.h>

#include <set>

#include "base/catalog.h"
#include "hardware/efficiency.h"
#include "hardware/machine.h"

namespace lodestone {
namespace {

const std::vector<Machine>& Machines() {
  const Result<std::vector<Machine>>& machines = CatalogMachines();
  if (!machines.ok()) ADD_FAILURE() << machines.error().message;
  static const std::vector<Machine> kNone;
  return machines.ok() ? *machines : kNone;
}

const Machine& Named(std::string_view name) {
  for (const Machine& machine : Machines()) {
    if (machine.name == name) return machine;
  }
  ADD_FAILURE() << "the catalogue has no " << name;
  static const Machine kNone;
  return kNone;
}

TEST(MachineCatalog, EveryFileIsRead) {
  size_t files = 0;
  for (const CatalogFile& file : CatalogFilesIn("hardware")) {
    const Result<Json> toml = ParseToml(file.contents, file.path);
    ASSERT_TRUE(toml.ok()) << toml.error().message;
    if (*toml->Find("kind")->as_string() != "machine") continue;
    ++files;
    const MachineReading reading = ReadMachine(*toml, std::string(file.path));
    for (const Error& fault : reading.faults) ADD_FAILURE() << fault.message;
    EXPECT_EQ(reading.machine.name, file.stem());
  }
  EXPECT_EQ(Machines().size(), files);
}

TEST(MachineCatalog, ThePlatformsOfTheSurveyAreThere) {
  std::set<Platform> platforms;
  for (const Machine& machine : Machines()) platforms.insert(machine.platform);
  EXPECT_EQ(platforms.size(), 5u);
}

TEST(MachineCatalog, EveryFigureSaysWhereItComesFrom) {
  for (const Machine& machine : Machines()) {
    EXPECT_FALSE(machine.vendor.empty()) << machine.name;
    for (const NamedFigure& named : FiguresOf(machine)) {
      SCOPED_TRACE(machine.name + " " + named.name);
      EXPECT_GT(named.figure.note.size(), 5u);
      if (named.figure.source != FieldSource::kAssumed) continue;
      ASSERT_TRUE(named.figure.low && named.figure.high);
      EXPECT_LT(*named.figure.low, *named.figure.high);
      EXPECT_GT(named.figure.note.size(), 25u);
    }
  }
}

TEST(MachineCatalog, NoFileCallsForARemark) {
  for (const Machine& machine : Machines()) {
    for (const std::string& remark : RemarksOn(machine)) ADD_FAILURE() << machine.name << ": " << remark;
  }
}

TEST(MachineCatalog, EstimatesOfOneDeviceCanBeMade) {
  for (const Machine& machine : Machines()) {
    SCOPED_TRACE(machine.name);
    EXPECT_TRUE(machine.main_memory().capacity_bytes && machine.main_memory().bytes_per_s);
    EXPECT_TRUE(machine.RateFor(Code::kInt4).has_value());
    for (const EstimateNeeds& needs : NeedsOf(machine)) {
      if (needs.estimate != "tokens/s of one device" && needs.estimate != "whether a model fits") continue;
      EXPECT_TRUE(needs.missing.empty()) << needs.missing.front();
    }
    const Result<Efficiency> efficiency = EfficiencyOf(machine, "");
    EXPECT_TRUE(efficiency.ok()) << efficiency.error().message;
  }
}

// Ridge points of what has been built: where bandwidth and compute bind alike.
TEST(MachineCatalog, RidgePointsAreThoseOfDevices) {
  for (const Machine& machine : Machines()) {
    SCOPED_TRACE(machine.name);
    const std::optional<double> ridge = RidgePoint(machine, Code::kInt8);
    ASSERT_TRUE(ridge.has_value());
    const bool beside_memory = std::set<std::string>{"asic-sram", "wafer", "pim"}.contains(machine.efficiency_class);
    EXPECT_GT(*ridge, beside_memory ? 0.1 : 1) << *ridge;
    EXPECT_LT(*ridge, beside_memory ? 200 : 4000) << *ridge;
  }
}

// Transistors a square millimetre of what has been built in 16 to 4 nm.
TEST(MachineCatalog, DensitiesAreThoseOfChips) {
  int seen = 0;
  for (const Machine& machine : Machines()) {
    if (!machine.transistors || !machine.area_mm2) continue;
    ++seen;
    const double per_mm2 = machine.transistors->value / machine.area_mm2->value;
    EXPECT_GT(per_mm2, 20e6) << machine.name;
    EXPECT_LT(per_mm2, 200e6) << machine.name;
  }
  EXPECT_GT(seen, 10);
}

// Checked by hand against the documents that the files name.
TEST(MachineCatalog, KnownFiguresOfKnownDevices) {
  const Machine& a100 = Named("a100-40gb");
  EXPECT_EQ(a100.RateFor(Code::kBf16)->ops_per_s, 312e12);
  EXPECT_EQ(a100.main_memory().bytes_per_s->value, 1555e9);
  EXPECT_EQ(a100.limit_w->value, 400);
  EXPECT_NEAR(*RidgePoint(a100, Code::kBf16), 200.6, 0.1);
  const Machine& h100 = Named("h100-sxm");
  EXPECT_EQ(h100.RateFor(Code::kF16)->ops_per_s, 989.4e12);
  EXPECT_EQ(h100.RateFor(Code::kInt8)->format, RateFormat::kInt8);
  EXPECT_EQ(h100.RateFor(Code::kInt4)->format, RateFormat::kInt8);  // Hopper has no int4
  EXPECT_EQ(h100.RateFor(Code::kF32)->ops_per_s, 66.9e12);
  EXPECT_EQ(h100.devices_per_server, 8);
  EXPECT_EQ(h100.main_memory().capacity_bytes->value, 80 * 1073741824.0);
  const Machine& l4 = Named("l4");
  EXPECT_EQ(l4.limit_w->value, 72);
  EXPECT_EQ(l4.transistors->value, 35.8e9);
}

}  // namespace
}  // namespace lodestone
