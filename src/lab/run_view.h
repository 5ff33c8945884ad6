// What a page shows of a simulated run over time: the spans inside two windows, what the watched framebuffers hold in
// the second, and the power over the whole run.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <vector>

#include "lab/pass_costs.h"
#include "lab/power_bins.h"
#include "lab/simulation.h"

namespace lodestone {

struct TimeWindow {
  Time from, to;
  bool Meets(Time start, Time finish) const { return finish > from && start < to; }
};

struct ViewedSpan {
  enum class Kind { kDecode, kPrefill, kStall, kHost } kind = Kind::kDecode;
  int stage = -1;  // −1: the host
  uint64_t pass = 0;
  Time start, finish;
};

struct HeldBytes {
  Time at;
  int64_t bytes = 0;  // from then on
};

class RunView final : public FlowObserver {
 public:
  // `windows`: of the prompts and of decoding. Bounded: kMostSpans a window are kept, the rest is counted.
  RunView(PassCosts& costs, const SimulationOptions& options, std::array<TimeWindow, 2> windows,
          std::vector<int> watched_cards);
  static constexpr size_t kMostSpans = 100'000;

  void Computes(int stage, uint64_t pass, const Load& load, int section, Time start, Time finish) override;
  void Moves(int from, int to, uint64_t pass, int64_t bytes, Time start, Time finish) override;
  void Stalls(int stage, uint64_t pass, Time start, Time finish) override;
  void HostWorks(uint64_t pass, Time start, Time finish) override;
  void Holds(int card, Time at, int64_t framebuffer_bytes) override;

  const TimeWindow& window(size_t index) const { return windows_[index]; }
  const std::vector<ViewedSpan>& spans(size_t index) const { return spans_[index]; }
  const std::map<int, std::vector<HeldBytes>>& held() const { return held_; }  // of the watched cards
  const PowerBins& dynamic_power() const { return power_; }                    // of all used cards

 private:
  void Keep(const ViewedSpan& span);

  PassCosts& costs_;
  Energy link_energy_per_byte_;
  std::array<TimeWindow, 2> windows_;
  std::array<std::vector<ViewedSpan>, 2> spans_;
  std::map<int, std::vector<HeldBytes>> held_;
  PowerBins power_;
};

}  // namespace lodestone
