// Replays tests/fuzz/corpus/hardware and machine through the fuzz targets: what was found once stays found, without
// libFuzzer.
#include <gtest/gtest.h>

#include "base/file.h"
#include "fixtures.h"
#include "hardware/efficiency.h"
#include "hardware/machine.h"

extern "C" int FuzzHardware(const uint8_t* data, size_t size);
extern "C" int FuzzMachine(const uint8_t* data, size_t size);

namespace lodestone {
namespace {

const std::filesystem::path kCorpus = std::filesystem::path(LODESTONE_SOURCE_DIR) / "tests/fuzz/corpus/hardware";

TEST(HardwareFuzzCorpus, EveryFileIsReadOrRefused) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kCorpus)) {
    SCOPED_TRACE(entry.path().string());
    const Result<std::string> text = ReadFile(entry.path(), 1 << 20);
    ASSERT_TRUE(text.ok()) << text.error().message;
    EXPECT_EQ(FuzzHardware(reinterpret_cast<const uint8_t*>(text->data()), text->size()), 0);
    ++files;
  }
  EXPECT_GE(files, 9);
}

TEST(HardwareFuzzCorpus, SeedsReachBothEnds) {
  for (const char* good : {"reference.toml", "inline.toml"}) {
    const Result<ApplianceSpec> spec = LoadAppliance((kCorpus / good).string());
    EXPECT_TRUE(spec.ok()) << spec.error().message;
  }
  for (const char* bad : {"wrong_types.toml", "infinite.toml", "wrong_reference.toml", "wrong_array.toml",
                          "control.toml", "empty.toml"}) {
    EXPECT_FALSE(LoadAppliance((kCorpus / bad).string()).ok()) << bad;
  }
}

const std::filesystem::path kMachines = std::filesystem::path(LODESTONE_SOURCE_DIR) / "tests/fuzz/corpus/machine";

TEST(MachineFuzzCorpus, EveryFileIsReadOrRefused) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kMachines)) {
    SCOPED_TRACE(entry.path().string());
    const Result<std::string> text = ReadFile(entry.path(), 1 << 20);
    ASSERT_TRUE(text.ok()) << text.error().message;
    EXPECT_EQ(FuzzMachine(reinterpret_cast<const uint8_t*>(text->data()), text->size()), 0);
    ++files;
  }
  EXPECT_GE(files, 6);
}

TEST(MachineFuzzCorpus, SeedsReachBothEnds) {
  for (const char* good : {"whole.toml", "small.toml"}) {
    const Result<Machine> machine = LoadMachine((kMachines / good).string());
    EXPECT_TRUE(machine.ok()) << machine.error().message;
  }
  EXPECT_TRUE(ReadEfficiency((kMachines / "efficiency.toml").string()).ok());
  for (const char* bad : {"wrong_tables.toml", "no_sheet.toml", "empty.toml", "efficiency.toml"}) {
    EXPECT_FALSE(LoadMachine((kMachines / bad).string()).ok()) << bad;
  }
}

}  // namespace
}  // namespace lodestone
