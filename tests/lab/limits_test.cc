#include "lab/limits.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "host/cpu.h"
#include "lab/limits/probes.h"

namespace lodestone {
namespace {

namespace fs = std::filesystem;

// A cache folder of its own.
class HostLimitsFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "lodestone_limits_XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    const HostInfo host = DescribeHost();
    limits_.cpu_name = host.cpu_name;
    limits_.threads = host.threads;
    limits_.measured_at = "2026-01-31";
    const Figure figure{.value = 17e9, .source = FieldSource::kMeasured, .note = "n"};
    limits_.dram_bytes_per_s = HostRate{figure, figure};
  }
  void TearDown() override { fs::remove_all(root_); }
  std::string Path() const { return (root_ / "a/b/host.toml").string(); }

  fs::path root_;
  HostLimits limits_;
};

TEST_F(HostLimitsFileTest, WhatIsStoredIsLoaded) {
  ASSERT_TRUE(StoreHostLimits(limits_, Path()).ok());  // and makes the folders
  const auto stored = LoadHostLimits(Path());
  ASSERT_TRUE(stored.ok()) << stored.error().message;
  ASSERT_TRUE(stored->limits.has_value()) << stored->reason;
  EXPECT_EQ(stored->limits->dram_bytes_per_s->all.value, 17e9);
  EXPECT_EQ(stored->reason, "");
}

TEST_F(HostLimitsFileTest, NoFileIsAReasonAndSaysWhatToDo) {
  const auto stored = LoadHostLimits(Path());
  ASSERT_TRUE(stored.ok());
  EXPECT_FALSE(stored->limits.has_value());
  EXPECT_NE(stored->reason.find("lodestone bench limits"), std::string::npos) << stored->reason;
}

TEST_F(HostLimitsFileTest, LimitsOfAnotherHostAreNotUsed) {
  HostLimits other = limits_;
  other.cpu_name = "Another CPU";
  ASSERT_TRUE(StoreHostLimits(other, Path()).ok());
  auto stored = LoadHostLimits(Path());
  ASSERT_TRUE(stored.ok());
  EXPECT_FALSE(stored->limits.has_value());
  EXPECT_NE(stored->reason.find("'Another CPU'"), std::string::npos) << stored->reason;
  other = limits_;
  ++other.threads;
  ASSERT_TRUE(StoreHostLimits(other, Path()).ok());
  stored = LoadHostLimits(Path());
  ASSERT_TRUE(stored.ok());
  EXPECT_FALSE(stored->limits.has_value());
}

TEST_F(HostLimitsFileTest, AFileThatCannotBeReadIsAnError) {
  fs::create_directories(root_ / "a/b");
  std::ofstream(Path()) << "kind = \"host\"\nspeed = 3\n";
  const auto stored = LoadHostLimits(Path());
  ASSERT_FALSE(stored.ok());
  EXPECT_NE(stored.error().message.find("host.toml"), std::string::npos) << stored.error().message;
}

TEST_F(HostLimitsFileTest, ThePathFollowsTheEnvironment) {
  const char* home = std::getenv("HOME");
  const std::string old_home = home == nullptr ? "" : home;
  setenv("XDG_CACHE_HOME", "/x", 1);
  EXPECT_EQ(*HostLimitsPath(), "/x/lodestone/host.toml");
  setenv("XDG_CACHE_HOME", "", 1);
  setenv("HOME", "/h", 1);
  EXPECT_EQ(*HostLimitsPath(), "/h/.cache/lodestone/host.toml");
  unsetenv("HOME");
  EXPECT_FALSE(HostLimitsPath().ok());
  unsetenv("XDG_CACHE_HOME");
  if (home != nullptr) setenv("HOME", old_home.c_str(), 1);
}

// A reader that leaves bytes out would measure too much: one bit anywhere shows.
void ExpectReadsEveryByte(limits::ReadFn read) {
  std::vector<std::byte> data(4 * limits::kReadStep);
  const uint64_t nothing = read(data.data(), data.size());
  for (size_t i = 0; i < data.size(); ++i) {
    data[i] = std::byte{16};
    EXPECT_NE(read(data.data(), data.size()), nothing) << i;
    data[i] = std::byte{0};
  }
}

TEST(LimitProbes, ReadersReadEveryByte) {
  ExpectReadsEveryByte(limits::kReadPlain);
#if defined(__x86_64__)
  const CpuFeatures cpu = DetectCpuFeatures();
  if (cpu.avx2) ExpectReadsEveryByte(limits::kReadAvx2);
  if (cpu.avx512f) ExpectReadsEveryByte(limits::kReadAvx512);
#endif
}

#if defined(__x86_64__)
// Each unit that this processor has runs without a fault. What it does is time alone.
TEST(LimitProbes, UnitsRunWhereTheProcessorHasThem) {
  const CpuFeatures cpu = DetectCpuFeatures();
  int ran = 0;
  const auto run = [&ran](bool here, const limits::UnitProbe& probe) {
    EXPECT_GT(probe.ops_per_round, 0);
    if (!here) return;
    probe.run(3);
    ++ran;
  };
  run(cpu.avx2 && cpu.fma, limits::kF32Avx2);
  run(cpu.avx2, limits::kInt8Avx2);
  run(cpu.avx512f, limits::kF32Avx512);
  run(cpu.avx512f && cpu.avx512bw && cpu.avx512_vnni, limits::kInt8Avx512);
  const bool tiles = cpu.amx_tile && RequestAmxTiles().ok();
  run(tiles && cpu.amx_int8, limits::kInt8Amx);
  run(tiles && cpu.amx_bf16, limits::kBf16Amx);
  if (ran == 0) GTEST_SKIP() << "this processor has none of the units";
}
#endif

}  // namespace
}  // namespace lodestone
