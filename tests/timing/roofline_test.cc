#include "timing/roofline.h"

#include <gtest/gtest.h>

namespace lodestone {
namespace {

// 100 Top/s of bf16, 1 TB/s, 10 TB/s elementwise, links of 100 GB/s and 1 µs, eight to a server; networks a tenth.
DeviceRates Rates() {
  DeviceRates rates;
  rates.matrix_ops_per_s[static_cast<size_t>(Code::kBf16)] = 100e12;
  rates.memory_bytes_per_s = 1e12;
  rates.vector_ops_per_s = 10e12;
  rates.link_bytes_per_s = 100e9;
  rates.link_latency_s = 1e-6;
  rates.network_bytes_per_s = 10e9;
  rates.network_latency_s = 5e-6;
  rates.devices_per_server = 8;
  return rates;
}

KernelWork Product() {
  return {.kind = KernelClass::kProduct, .code = Code::kBf16, .rows = 16, .matrix_ops = 1e9, .weight_bytes = 1e6};
}

TEST(Roofline, TheLongestOfComputeMemoryAndVectorsBounds) {
  KernelWork work = Product();  // 10 µs of products, 1 µs of bytes
  OperatorTime time = TimeOf(work, Rates());
  EXPECT_EQ(time.bound, RooflineBound::kMatrix);
  EXPECT_DOUBLE_EQ(time.seconds, 10e-6);
  work.activation_bytes = 19e6;  // 20 µs
  time = TimeOf(work, Rates());
  EXPECT_EQ(time.bound, RooflineBound::kMemory);
  EXPECT_DOUBLE_EQ(time.seconds, 20e-6);
  work.vector_ops = 300e6;  // 30 µs
  time = TimeOf(work, Rates());
  EXPECT_EQ(time.bound, RooflineBound::kVector);
  EXPECT_DOUBLE_EQ(time.seconds, 30e-6);
}

TEST(Roofline, FactorsAreSharesOfTheDataSheet) {
  DeviceRates rates = Rates();
  rates.factors.matrix = 0.5;
  rates.factors.matrix_rows = 16;  // at 16 rows: half of that
  rates.factors.memory = 0.25;
  rates.factors.launch_s = 3e-6;
  const OperatorTime time = TimeOf(Product(), rates);
  EXPECT_DOUBLE_EQ(time.matrix_s, 10e-6 / 0.5 * 2);
  EXPECT_DOUBLE_EQ(time.memory_s, 1e-6 / 0.25);
  EXPECT_DOUBLE_EQ(time.seconds, 40e-6 + 3e-6);
  EXPECT_DOUBLE_EQ(TimeOf(Product(), rates, /*launches=*/false).seconds, 40e-6);
  rates.factors.launch_s = 50e-6;
  EXPECT_EQ(TimeOf(Product(), rates).bound, RooflineBound::kLaunch);
}

TEST(Roofline, AttentionReadsKvAgainForHeadsThatDoNotShareARead) {
  KernelWork work{.kind = KernelClass::kAttention, .code = Code::kBf16, .heads_per_kv = 8, .kv_bytes = 1e6};
  DeviceRates rates = Rates();
  rates.factors.kv = 0.5;
  rates.factors.heads_per_read = 8;
  EXPECT_DOUBLE_EQ(TimeOf(work, rates).seconds, 2e-6);
  rates.factors.heads_per_read = 2;  // four reads
  EXPECT_DOUBLE_EQ(TimeOf(work, rates).seconds, 8e-6);
  work.heads_per_kv = 1;
  EXPECT_DOUBLE_EQ(TimeOf(work, rates).seconds, 2e-6);
}

TEST(Roofline, ActivationsThatFitACacheMoveAtItsRate) {
  KernelWork work = Product();
  work.matrix_ops = 0;
  work.activation_bytes = 2e6;
  DeviceRates rates = Rates();
  rates.cache_bytes_per_s = 10e12;
  rates.cache_bytes = 2e6;
  EXPECT_DOUBLE_EQ(TimeOf(work, rates).seconds, 1e-6 + 0.2e-6);  // weights from memory
  work.activation_bytes = 3e6;
  EXPECT_DOUBLE_EQ(TimeOf(work, rates).seconds, 4e-6);
}

TEST(Roofline, TwoOfFourIsFasterOnlyWhereUnitsKnowIt) {
  KernelWork work = Product();
  work.two_of_four = true;
  EXPECT_DOUBLE_EQ(TimeOf(work, Rates()).matrix_s, 10e-6);
  DeviceRates rates = Rates();
  rates.two_of_four_speedup = 2;
  EXPECT_DOUBLE_EQ(TimeOf(work, rates).matrix_s, 5e-6);
}

TEST(Roofline, CollectivesCountBytesThatADeviceSends) {
  const DeviceRates rates = Rates();
  // 4 devices: 2 × 3/4 of a megabyte at 100 GB/s, and two hops.
  EXPECT_DOUBLE_EQ(AllReduceSeconds(1e6, 4, rates), 1.5e6 / 100e9 + 2e-6);
  EXPECT_DOUBLE_EQ(AllGatherSeconds(1e6, 4, rates), 0.75e6 / 100e9 + 1e-6);
  EXPECT_DOUBLE_EQ(AllReduceSeconds(1e6, 1, rates), 0);
  // Sixteen devices are two servers of eight, each device with its own way out.
  EXPECT_DOUBLE_EQ(AllReduceSeconds(1e6, 16, rates),
                   2 * (1e-6 + 7.0 / 8 * 1e6 / 100e9) + 2 * (5e-6 + 0.5 * 1e6 / 8 / 10e9));
  EXPECT_DOUBLE_EQ(AllToAllSeconds(1.6e6, 16, rates), 1e-6 + 0.7e6 / 100e9 + 5e-6 + 0.8e6 / 10e9);
  EXPECT_DOUBLE_EQ(AllToAllSeconds(1e6, 4, rates), 1e-6 + 0.75e6 / 100e9);
  EXPECT_DOUBLE_EQ(TransferSeconds(1e6, false, rates), 1e6 / 100e9 + 1e-6);
  EXPECT_DOUBLE_EQ(TransferSeconds(1e6, true, rates), 1e6 / 10e9 + 5e-6);
  DeviceRates ring = rates;
  ring.ring = true;
  EXPECT_DOUBLE_EQ(AllReduceSeconds(1e6, 4, ring), 1.5e6 / 100e9 + 6e-6);
  ring.factors.collective_s = 10e-6;
  EXPECT_DOUBLE_EQ(AllReduceSeconds(1e6, 4, ring), 1.5e6 / 100e9 + 6e-6 + 2 * 10e-6);
}

TEST(Roofline, EveryFactorOfAnEfficiencyIsTaken) {
  ASSERT_EQ(EfficiencyFields().size(), FactorFields().size());
  for (size_t i = 0; i < kFactors; ++i) EXPECT_EQ(FactorFields()[i].figure, EfficiencyFields()[i].member) << i;
  Efficiency efficiency = IdealEfficiency();
  EXPECT_EQ(FactorsOf(efficiency), Factors{});
  double value = 0.01;
  for (const FactorField& field : FactorFields()) (efficiency.*field.figure).value = value += 0.01;
  const Factors factors = FactorsOf(efficiency);
  for (const FactorField& field : FactorFields()) EXPECT_EQ(factors.*field.value, (efficiency.*field.figure).value);
}

TEST(Roofline, MissingFiguresAreRefusedByName) {
  Machine machine;
  machine.name = "bare";
  machine.file = "bare.toml";
  machine.memory.push_back({.name = "HBM", .capacity_bytes = {}, .bytes_per_s = {}, .latency_s = {}});
  const Result<DeviceRates> rates = DeviceRates::Of(machine, IdealEfficiency());
  ASSERT_FALSE(rates.ok());
  EXPECT_EQ(rates.error().code, ErrorCode::kInfeasible);
  EXPECT_NE(rates.error().message.find("bare.toml"), std::string::npos);
  EXPECT_NE(rates.error().message.find("HBM"), std::string::npos);

  machine.devices_per_server = 4;
  EXPECT_TRUE(CheckLinks(machine, 1).ok());
  EXPECT_FALSE(CheckLinks(machine, 4).ok());
  machine.link_bytes_per_s = Figure{.value = 1e9};
  EXPECT_TRUE(CheckLinks(machine, 4).ok());
  const Status servers = CheckLinks(machine, 8);
  ASSERT_FALSE(servers.ok());
  EXPECT_NE(servers.error().message.find("network"), std::string::npos);
}

}  // namespace
}  // namespace lodestone
