#include "host/topology.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "base/status.h"
#include "host/sysfs.h"

namespace lodestone {
namespace {

// The kernel's own limit on x86.
constexpr int kMaxCpus = 8192;

class CpuSet {
 public:
  CpuSet() : set_(CPU_ALLOC(kMaxCpus)) {
    LODESTONE_CHECK(set_ != nullptr);
    CPU_ZERO_S(size(), set_);
  }
  ~CpuSet() { CPU_FREE(set_); }
  CpuSet(const CpuSet&) = delete;
  CpuSet& operator=(const CpuSet&) = delete;

  static size_t size() { return CPU_ALLOC_SIZE(kMaxCpus); }
  cpu_set_t* get() const { return set_; }
  bool Has(int cpu) const { return CPU_ISSET_S(static_cast<size_t>(cpu), size(), set_); }
  void Add(int cpu) { CPU_SET_S(static_cast<size_t>(cpu), size(), set_); }

 private:
  cpu_set_t* set_;
};

std::vector<int> ReadAffinity() {
  const CpuSet mask;
  if (sched_getaffinity(0, CpuSet::size(), mask.get()) != 0) return {0};
  std::vector<int> cpus;
  for (int cpu = 0; cpu < kMaxCpus; ++cpu) {
    if (mask.Has(cpu)) cpus.push_back(cpu);
  }
  return cpus;
}

}  // namespace

const std::vector<int>& AffinityCpus() {
  static const std::vector<int> cpus = ReadAffinity();
  return cpus;
}

bool SetAffinity(std::span<const int> cpus) {
  CpuSet mask;
  for (const int cpu : cpus) mask.Add(cpu);
  return sched_setaffinity(0, CpuSet::size(), mask.get()) == 0;
}

std::vector<CpuPlace> PlacesOf(std::span<const int> cpus, const std::string& sysfs) {
  std::map<int, int> node_of;
  for (const int node : ParseCpuList(FirstLine(sysfs + "/node/online"))) {
    for (const int cpu : ParseCpuList(FirstLine(fmt::format("{}/node/node{}/cpulist", sysfs, node)))) {
      node_of[cpu] = node;
    }
  }
  std::vector<CpuPlace> places;
  std::map<int, int> listed;  // processors of a core so far
  for (const int cpu : cpus) {
    const std::vector<int> siblings =
        ParseCpuList(FirstLine(fmt::format("{}/cpu/cpu{}/topology/thread_siblings_list", sysfs, cpu)));
    const int core = siblings.empty() ? cpu : siblings.front();
    const auto node = node_of.find(cpu);
    places.push_back({cpu, core, listed[core]++, node == node_of.end() ? 0 : node->second});
  }
  return places;
}

int CoresOf(std::span<const CpuPlace> places) {
  return static_cast<int>(
      std::count_if(places.begin(), places.end(), [](const CpuPlace& p) { return p.sibling == 0; }));
}

int NodesOf(std::span<const CpuPlace> places) {
  std::set<int> nodes;
  for (const CpuPlace& place : places) nodes.insert(place.node);
  return static_cast<int>(nodes.size());
}

std::vector<int> CpusForThreads(std::span<const CpuPlace> places, int threads) {
  LODESTONE_CHECK(threads >= 0 && static_cast<size_t>(threads) <= places.size());
  struct Choice {
    CpuPlace place;
    int turn;  // among the equal siblings of its node
  };
  std::vector<CpuPlace> sorted(places.begin(), places.end());
  const auto by_place = [](const CpuPlace& p) { return std::tuple(p.node, p.core, p.cpu); };
  std::sort(sorted.begin(), sorted.end(),
            [&](const CpuPlace& a, const CpuPlace& b) { return by_place(a) < by_place(b); });
  std::vector<Choice> choices;
  std::map<std::pair<int, int>, int> turns;
  for (const CpuPlace& place : sorted) choices.push_back({place, turns[{place.node, place.sibling}]++});
  std::stable_sort(choices.begin(), choices.end(), [](const Choice& a, const Choice& b) {
    return std::tuple(a.place.sibling, a.turn, a.place.node) < std::tuple(b.place.sibling, b.turn, b.place.node);
  });
  choices.resize(static_cast<size_t>(threads));
  std::sort(choices.begin(), choices.end(),
            [&](const Choice& a, const Choice& b) { return by_place(a.place) < by_place(b.place); });
  std::vector<int> cpus;
  for (const Choice& choice : choices) cpus.push_back(choice.place.cpu);
  return cpus;
}

}  // namespace lodestone
