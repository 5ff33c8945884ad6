// Where the processors of this machine lie: which share a core, which share a memory node, and on which of them the
// threads of a pool belong.
//
// Read from /sys directly, two small files a processor (some 20 µs each). hwloc tells the same and much more, but it
// discovers the whole machine, devices included, at every start: milliseconds on a desktop, tens on a server.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace lodestone {

struct CpuPlace {
  int cpu = 0;
  int core = 0;     // the lowest number among the processors that share its core
  int sibling = 0;  // its rank among those of them that are listed: 0 is the first of its core
  int node = 0;     // of memory
};

// The processors that this process was given, ascending: the affinity mask at the first call, which pinned threads do
// not narrow later. Processor 0 alone where the mask cannot be read.
const std::vector<int>& AffinityCpus();
// Whether the calling thread now runs on these processors alone.
bool SetAffinity(std::span<const int> cpus);

// Places of `cpus`. What `sysfs` does not tell is taken as one core each, all on node 0.
std::vector<CpuPlace> PlacesOf(std::span<const int> cpus, const std::string& sysfs = "/sys/devices/system");

// How many cores and how many nodes these are.
int CoresOf(std::span<const CpuPlace> places);
int NodesOf(std::span<const CpuPlace> places);

// One processor for each of `threads` threads, threads ≤ places. Cores before siblings, and the nodes in turn, since
// memory is what most operators wait for; then ordered by node and core, so that neighbouring threads, which take
// neighbouring pieces of a loop, share a node.
std::vector<int> CpusForThreads(std::span<const CpuPlace> places, int threads);

}  // namespace lodestone
