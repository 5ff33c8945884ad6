// A simulated run as a timeline for Perfetto: the host and every card as a process; its array, its networks and its two
// DMA engines as threads; what its framebuffer holds and what all cards draw as counters.
//
// A span on an array is a section of a pass. For the first passes its operators lie inside it, with what each keeps
// busy and what bounds it, and the networks on chip have threads of their own; later passes are spans alone.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "lab/pass_costs.h"
#include "lab/power_bins.h"
#include "lab/simulation.h"
#include "report/chrome_trace.h"

namespace lodestone {

struct TraceLimits {
  int64_t events = kDefaultTraceEvents;
  uint64_t explained_passes = 64;  // with operators inside their spans
};

class TimelineTrace final : public FlowObserver {
 public:
  // `options` are those of the run that will be observed: they say what its passes cost. `write` is given the text in
  // pieces, in order.
  static Result<std::unique_ptr<TimelineTrace>> Open(const SimulationOptions& options,
                                                     std::function<void(std::string_view)> write,
                                                     const TraceLimits& limits = {});

  void Computes(int stage, uint64_t pass, const Load& load, int section, Time start, Time finish) override;
  void Moves(int from, int to, uint64_t pass, int64_t bytes, Time start, Time finish) override;
  void Stalls(int stage, uint64_t pass, Time start, Time finish) override;
  void HostWorks(uint64_t pass, Time start, Time finish) override;
  void Holds(int card, Time at, int64_t framebuffer_bytes) override;

  // Writes the watts over the run and ends the text. Nothing is observed afterwards.
  void Finish();

 private:
  enum class Unit { kArray, kNetworks, kDmaOut, kDmaIn, kHostWork, kHostOut, kHostIn };
  struct Thread {
    int process = 0, id = 0;
  };

  TimelineTrace(PassCosts costs, const SimulationOptions& options, std::function<void(std::string_view)> write,
                const TraceLimits& limits);
  struct ThreadKey {
    int card = 0;
    Unit unit = Unit::kArray;
    int number = 0;  // tells units of a kind apart
    friend auto operator<=>(const ThreadKey&, const ThreadKey&) = default;
  };
  struct Lane {
    Thread thread;
    Time busy_until;
  };

  // Whether an event is left out, because only the counts of power have room any more.
  bool LeavesOut(Time at);
  // A thread of that unit that is free at `start`; it is busy until `finish`. Spans of a unit that overlap get threads
  // side by side.
  Thread ThreadFor(const ThreadKey& key, std::string_view name, Time start, Time finish);
  void NameCard(int card);
  void Explain(const Thread& array, int stage, const Load& load, bool sections, Time first, Time start, Time finish);

  PassCosts costs_;
  ChromeTrace trace_;
  TraceLimits limits_;
  Energy link_energy_per_byte_;
  double static_watts_ = 0;  // of all used cards
  double ps_per_cycle_ = 0;
  PowerBins power_;
  Time end_;
  std::map<ThreadKey, std::vector<Lane>> lanes_;
  int threads_ = 0;
  std::set<int> named_;
  std::vector<Time> section_offset_;  // of a stage: time of the sections of this pass before
};

// SimulateBatch with its timeline written.
Result<SimulatedRun> TraceBatch(const SimulationOptions& options, std::function<void(std::string_view)> write,
                                const TraceLimits& limits = {});

}  // namespace lodestone
