#include "host/topology.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "host/sysfs.h"
#include "host/temporary_tree.h"

namespace lodestone {
namespace {

using Cpus = std::vector<int>;

TEST(CpuList, ReadsTheKernelsLists) {
  EXPECT_EQ(ParseCpuList("0"), (Cpus{0}));
  EXPECT_EQ(ParseCpuList("0-2,5,7-8"), (Cpus{0, 1, 2, 5, 7, 8}));
  for (const char* text : {"", "-1", "3-1", "1,", ",1", "1-", "a", "0-99999", "1 2", "99999999999"}) {
    EXPECT_EQ(ParseCpuList(text), Cpus{}) << text;
  }
}

// Two nodes of two cores of two threads, numbered as servers number them: siblings are 4 apart.
void WriteServer(const TemporaryTree& sys) {
  sys.Write("node/online", "0-1");
  sys.Write("node/node0/cpulist", "0-1,4-5");
  sys.Write("node/node1/cpulist", "2-3,6-7");
  for (int cpu = 0; cpu < 8; ++cpu) {
    sys.Write(fmt::format("cpu/cpu{}/topology/thread_siblings_list", cpu), fmt::format("{},{}", cpu % 4, cpu % 4 + 4));
  }
}

class ServerTest : public ::testing::Test {
 protected:
  void SetUp() override { WriteServer(sys_); }
  std::vector<CpuPlace> Places(const Cpus& cpus) const { return PlacesOf(cpus, sys_.Path()); }
  TemporaryTree sys_;
};

TEST_F(ServerTest, CountsCoresAndNodesOfTheMask) {
  EXPECT_EQ(CoresOf(Places({0, 1, 2, 3, 4, 5, 6, 7})), 4);
  EXPECT_EQ(NodesOf(Places({0, 1, 2, 3, 4, 5, 6, 7})), 2);
  // One thread of each core, and not the first.
  EXPECT_EQ(CoresOf(Places({4, 5})), 2);
  EXPECT_EQ(CoresOf(Places({0, 4})), 1);
  EXPECT_EQ(NodesOf(Places({2, 6})), 1);
}

TEST_F(ServerTest, CoresComeBeforeSiblingsAndNodesInOrder) {
  const std::vector<CpuPlace> all = Places({0, 1, 2, 3, 4, 5, 6, 7});
  EXPECT_EQ(CpusForThreads(all, 1), (Cpus{0}));
  EXPECT_EQ(CpusForThreads(all, 2), (Cpus{0, 2}));        // both memories
  EXPECT_EQ(CpusForThreads(all, 4), (Cpus{0, 1, 2, 3}));  // every core once
  EXPECT_EQ(CpusForThreads(all, 6), (Cpus{0, 4, 1, 2, 6, 3}));
  EXPECT_EQ(CpusForThreads(all, 8), (Cpus{0, 4, 1, 5, 2, 6, 3, 7}));  // siblings side by side, node 0 then node 1
}

TEST_F(ServerTest, StaysWithinTheMask) {
  EXPECT_EQ(CpusForThreads(Places({4, 6, 7}), 3), (Cpus{4, 6, 7}));
  EXPECT_EQ(CpusForThreads(Places({0, 3, 4}), 2), (Cpus{0, 3}));
  EXPECT_EQ(CpusForThreads(Places({0, 3, 4}), 0), Cpus{});
}

TEST(Topology, WithoutSysfsEveryProcessorIsACoreOfOneNode) {
  const TemporaryTree empty;
  const std::vector<CpuPlace> places = PlacesOf(Cpus{3, 9}, empty.Path());
  EXPECT_EQ(CoresOf(places), 2);
  EXPECT_EQ(NodesOf(places), 1);
  EXPECT_EQ(CpusForThreads(places, 2), (Cpus{3, 9}));
}

TEST(TopologyProperty, AnyNumberOfThreadsGetsDistinctProcessorsAndCoresFirst) {
  for (const int siblings : {1, 2, 4}) {
    for (const int nodes : {1, 2, 3}) {
      std::vector<CpuPlace> places;
      const int cores = 4 * nodes;
      for (int cpu = 0; cpu < cores * siblings; ++cpu) {
        places.push_back({cpu, cpu % cores, cpu / cores, cpu % cores / 4});
      }
      for (int threads = 0; threads <= cores * siblings; ++threads) {
        const Cpus cpus = CpusForThreads(places, threads);
        ASSERT_EQ(cpus.size(), static_cast<size_t>(threads));
        std::set<int> distinct(cpus.begin(), cpus.end()), used;
        EXPECT_EQ(distinct.size(), cpus.size());
        Cpus node_order, on_node(static_cast<size_t>(nodes), 0);
        for (const int cpu : cpus) {
          used.insert(cpu % cores);
          node_order.push_back(cpu % cores / 4);
          ++on_node[static_cast<size_t>(cpu % cores / 4)];
        }
        EXPECT_EQ(static_cast<int>(used.size()), std::min(threads, cores));
        EXPECT_TRUE(std::is_sorted(node_order.begin(), node_order.end()));
        const auto [least, most] = std::minmax_element(on_node.begin(), on_node.end());
        EXPECT_LE(*most - *least, 1);
      }
    }
  }
}

TEST(Topology, ThisProcessHasProcessors) {
  const Cpus& cpus = AffinityCpus();
  ASSERT_FALSE(cpus.empty());
  EXPECT_TRUE(std::is_sorted(cpus.begin(), cpus.end()));
  EXPECT_TRUE(SetAffinity(cpus));
}

}  // namespace
}  // namespace lodestone
