#include "host/energy.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace lodestone {
namespace {

namespace fs = std::filesystem;

// A powercap tree in a folder of its own.
class EnergyMeterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "lodestone_energy_XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override { fs::remove_all(root_); }

  void Write(const fs::path& file, const std::string& text) {
    fs::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text << "\n";
  }
  void Zone(const std::string& zone, const std::string& name, uint64_t energy_uj, uint64_t range_uj = 1000000) {
    Write(zone + "/name", name);
    Write(zone + "/energy_uj", std::to_string(energy_uj));
    Write(zone + "/max_energy_range_uj", std::to_string(range_uj));
  }
  Result<EnergyMeter> Open() { return EnergyMeter::Open(root_.string()); }

  fs::path root_;
};

TEST_F(EnergyMeterTest, SumsPackagesOnceAndIgnoresTheirPartsAndThePlatform) {
  for (const auto& [zone, name] : {std::pair{"intel-rapl:0", "package-0"},
                                   {"intel-rapl:1", "package-1"},
                                   {"intel-rapl:0:0", "core"},
                                   {"intel-rapl:2", "psys"},
                                   {"intel-rapl-mmio:0", "package-0"}}) {
    Zone(zone, name, 100);
  }
  auto meter = Open();
  ASSERT_TRUE(meter.ok()) << meter.error().message;
  for (const char* zone : {"intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0", "intel-rapl:2", "intel-rapl-mmio:0"}) {
    Write(std::string(zone) + "/energy_uj", "250100");
  }
  const auto joules = meter->JoulesSinceLast();
  ASSERT_TRUE(joules.ok());
  EXPECT_DOUBLE_EQ(*joules, 0.5);
  const auto none = meter->JoulesSinceLast();
  ASSERT_TRUE(none.ok());
  EXPECT_EQ(*none, 0.0);
}

TEST_F(EnergyMeterTest, MemoryIsASumOfItsOwn) {
  for (const auto& [zone, name] : {std::pair{"intel-rapl:0", "package-0"},
                                   {"intel-rapl:0:0", "core"},
                                   {"intel-rapl:0:1", "dram"},
                                   {"intel-rapl:1", "package-1"},
                                   {"intel-rapl:1:0", "dram"},
                                   {"intel-rapl-mmio:0", "package-0"},
                                   {"intel-rapl-mmio:0:0", "dram"}}) {
    Zone(zone, name, 100);
  }
  auto meter = Open();
  ASSERT_TRUE(meter.ok()) << meter.error().message;
  Write("intel-rapl:0:1/energy_uj", "250100");
  Write("intel-rapl:1:0/energy_uj", "500100");
  Write("intel-rapl-mmio:0:0/energy_uj", "250100");
  const auto dram = meter->DramJoulesSinceLast();
  ASSERT_TRUE(dram.ok());
  ASSERT_TRUE(dram->has_value());
  EXPECT_DOUBLE_EQ(**dram, 0.75);
  const auto packages = meter->JoulesSinceLast();
  ASSERT_TRUE(packages.ok());
  EXPECT_EQ(*packages, 0.0);
}

TEST_F(EnergyMeterTest, TheMemoryOfSomePackagesIsNone) {
  Zone("intel-rapl:0", "package-0", 1);
  Zone("intel-rapl:0:0", "dram", 1);
  Zone("intel-rapl:1", "package-1", 1);
  auto meter = Open();
  ASSERT_TRUE(meter.ok());
  const auto dram = meter->DramJoulesSinceLast();
  ASSERT_TRUE(dram.ok());
  EXPECT_FALSE(dram->has_value());
}

TEST_F(EnergyMeterTest, CountsAcrossTheWrap) {
  Zone("intel-rapl:0", "package-0", 999900, 999999);
  auto meter = Open();
  ASSERT_TRUE(meter.ok());
  Write("intel-rapl:0/energy_uj", "100");
  const auto joules = meter->JoulesSinceLast();
  ASSERT_TRUE(joules.ok());
  EXPECT_DOUBLE_EQ(*joules, 200e-6);
}

TEST_F(EnergyMeterTest, ACounterThatFallsBeyondItsRangeIsAnError) {
  Zone("intel-rapl:0", "package-0", 999900, 500);
  auto meter = Open();
  ASSERT_TRUE(meter.ok());
  Write("intel-rapl:0/energy_uj", "100");
  EXPECT_FALSE(meter->JoulesSinceLast().ok());
}

TEST_F(EnergyMeterTest, ACounterThatVanishesIsAnError) {
  Zone("intel-rapl:0", "package-0", 1);
  auto meter = Open();
  ASSERT_TRUE(meter.ok());
  fs::remove_all(root_ / "intel-rapl:0");
  const auto joules = meter->JoulesSinceLast();
  ASSERT_FALSE(joules.ok());
  EXPECT_NE(joules.error().message.find("energy_uj"), std::string::npos) << joules.error().message;
}

TEST_F(EnergyMeterTest, SaysWhyThereIsNoCounter) {
  const auto no_powercap = EnergyMeter::Open((root_ / "absent").string());
  ASSERT_FALSE(no_powercap.ok());
  EXPECT_NE(no_powercap.error().message.find("absent"), std::string::npos);
  const auto no_package = Open();
  ASSERT_FALSE(no_package.ok());
  EXPECT_NE(no_package.error().message.find("no package zone"), std::string::npos);
  Zone("intel-rapl:0", "package-0", 1);
  Write("intel-rapl:0/energy_uj", "many");
  const auto not_a_number = Open();
  ASSERT_FALSE(not_a_number.ok());
  EXPECT_NE(not_a_number.error().message.find("'many'"), std::string::npos) << not_a_number.error().message;
}

TEST_F(EnergyMeterTest, SaysThatOnlyRootMayRead) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read everything";
  Zone("intel-rapl:0", "package-0", 1);
  fs::permissions(root_ / "intel-rapl:0/energy_uj", fs::perms::none);
  const auto meter = Open();
  ASSERT_FALSE(meter.ok());
  EXPECT_NE(meter.error().message.find("root"), std::string::npos) << meter.error().message;
}

}  // namespace
}  // namespace lodestone
