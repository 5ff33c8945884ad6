#include "host/cpu.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "host/thread_pool.h"

namespace lodestone {
namespace {

// The kernel's own list of the features that programs may use, or nothing.
std::string KernelFlags() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("flags")) return line.substr(line.find(':') + 1) + " ";
  }
  return "";
}

TEST(Cpu, AgreesWithTheKernel) {
  const std::string flags = KernelFlags();
  if (flags.empty()) GTEST_SKIP() << "/proc/cpuinfo lists no flags";
  const auto has = [&](const std::string& name) { return flags.find(" " + name + " ") != std::string::npos; };
  const CpuFeatures cpu = DetectCpuFeatures();
  EXPECT_EQ(cpu.avx2, has("avx2"));
  EXPECT_EQ(cpu.fma, has("fma"));
  EXPECT_EQ(cpu.f16c, has("f16c"));
  EXPECT_EQ(cpu.avx512f, has("avx512f"));
  EXPECT_EQ(cpu.avx512bw, has("avx512bw"));
  EXPECT_EQ(cpu.avx512vl, has("avx512vl"));
  EXPECT_EQ(cpu.avx512dq, has("avx512dq"));
  EXPECT_EQ(cpu.avx512_vnni, has("avx512_vnni"));
  EXPECT_EQ(cpu.avx512_bf16, has("avx512_bf16"));
  // The kernel may list tiles and refuse them to this process.
  if (cpu.amx_int8) EXPECT_TRUE(has("amx_int8"));
  if (!has("amx_tile")) EXPECT_FALSE(cpu.amx_tile || cpu.amx_int8 || cpu.amx_bf16);
}

TEST(Cpu, DescribesThisHost) {
  const HostInfo host = DescribeHost();
  EXPECT_FALSE(host.cpu_name.empty());
  EXPECT_TRUE(host.os.starts_with("Linux ")) << host.os;
  EXPECT_EQ(host.threads, AvailableThreads());
  EXPECT_GE(host.threads, 1);
  EXPECT_GT(host.memory_bytes, int64_t{16} << 20);
  if (host.l1d_bytes && host.l2_bytes) EXPECT_LE(*host.l1d_bytes, *host.l2_bytes);
}

}  // namespace
}  // namespace lodestone
