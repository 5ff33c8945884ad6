#include "host/cgroup.h"

#include <gtest/gtest.h>

#include "host/temporary_tree.h"

namespace lodestone {
namespace {

class CgroupTest : public ::testing::Test {
 protected:
  CgroupPaths Paths() const { return {tree_.Path("self"), tree_.Path("mount")}; }
  TemporaryTree tree_;
};

TEST_F(CgroupTest, TheLowestLimitFromTheGroupUpwardsHolds) {
  tree_.Write("self", "0::/outer/inner");
  tree_.Write("mount/outer/inner/memory.max", "4096");
  tree_.Write("mount/outer/memory.max", "1024");
  tree_.Write("mount/memory.max", "max");
  tree_.Write("mount/outer/inner/cpu.max", "150000 100000");
  tree_.Write("mount/outer/cpu.max", "400000 100000");
  EXPECT_EQ(CgroupMemoryLimit(Paths()), 1024);
  EXPECT_EQ(CgroupCpuQuota(Paths()), 1.5);
}

TEST_F(CgroupTest, MaxIsNoLimit) {
  tree_.Write("self", "0::/a");
  tree_.Write("mount/a/memory.max", "max");
  tree_.Write("mount/a/cpu.max", "max 100000");
  EXPECT_EQ(CgroupMemoryLimit(Paths()), std::nullopt);
  EXPECT_EQ(CgroupCpuQuota(Paths()), std::nullopt);
}

TEST_F(CgroupTest, VersionOneNamesItsController) {
  tree_.Write("self", "4:memory:/job\n3:cpu,cpuacct:/job\n2:cpuset:/other");
  tree_.Write("mount/memory/job/memory.limit_in_bytes", "2048");
  tree_.Write("mount/cpu/job/cpu.cfs_quota_us", "50000");
  tree_.Write("mount/cpu/job/cpu.cfs_period_us", "100000");
  tree_.Write("mount/cpu/cpu.cfs_quota_us", "-1");
  tree_.Write("mount/cpu/cpu.cfs_period_us", "100000");
  EXPECT_EQ(CgroupMemoryLimit(Paths()), 2048);
  EXPECT_EQ(CgroupCpuQuota(Paths()), 0.5);
}

// A container sees its host's path and its own files at the mount.
TEST_F(CgroupTest, APathThatDoesNotExistHereLeadsUpToTheMount) {
  tree_.Write("self", "0::/docker/abc");
  tree_.Write("mount/cpu.max", "200000 100000");
  EXPECT_EQ(CgroupCpuQuota(Paths()), 2.0);
}

TEST_F(CgroupTest, NothingReadableIsNoLimit) {
  for (const char* text : {"", "nonsense", "0", "0:", "::", "1:cpu"}) {
    tree_.Write("self", text);
    EXPECT_EQ(CgroupMemoryLimit(Paths()), std::nullopt) << text;
    EXPECT_EQ(CgroupCpuQuota(Paths()), std::nullopt) << text;
  }
  tree_.Write("self", "0::/");
  for (const char* text : {"", "100000", "-5 100000", "100000 0", "x y", "1e5 1e5"}) {
    tree_.Write("mount/cpu.max", text);
    EXPECT_EQ(CgroupCpuQuota(Paths()), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace lodestone
