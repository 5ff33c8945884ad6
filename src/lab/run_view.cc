#include "lab/run_view.h"

namespace lodestone {

RunView::RunView(PassCosts& costs, const SimulationOptions& options, std::array<TimeWindow, 2> windows,
                 std::vector<int> watched_cards)
    : costs_(costs), link_energy_per_byte_(Links::Of(options.spec).link_energy_per_byte), windows_(windows) {
  for (const int card : watched_cards) held_[card];
}

void RunView::Keep(const ViewedSpan& span) {
  for (size_t i = 0; i < windows_.size(); ++i) {
    if (windows_[i].Meets(span.start, span.finish) && spans_[i].size() < kMostSpans) spans_[i].push_back(span);
  }
}

void RunView::Computes(int stage, uint64_t pass, const Load& load, int, Time start, Time finish) {
  const StageCost& cost = costs_.CostsOf(load)[static_cast<size_t>(stage)];
  // Energy is the stage's; a section has the part of it that its time has.
  const double share =
      cost.time > Time{} ? static_cast<double>((finish - start).ps) / static_cast<double>(cost.time.ps) : 1.0;
  power_.Add(start, finish, Energy::Joules(cost.energy.total().joules() * share));
  const bool decodes = load.rows == load.logit_rows;
  Keep({.kind = decodes ? ViewedSpan::Kind::kDecode : ViewedSpan::Kind::kPrefill,
        .stage = stage,
        .pass = pass,
        .start = start,
        .finish = finish});
}

void RunView::Moves(int from, int to, uint64_t, int64_t bytes, Time start, Time finish) {
  const int cards = (from >= 0 ? 1 : 0) + (to >= 0 ? 1 : 0);
  power_.Add(start, finish, Energy{link_energy_per_byte_.pj * bytes * cards});
}

void RunView::Stalls(int stage, uint64_t pass, Time start, Time finish) {
  Keep({.kind = ViewedSpan::Kind::kStall, .stage = stage, .pass = pass, .start = start, .finish = finish});
}

void RunView::HostWorks(uint64_t pass, Time start, Time finish) {
  Keep({.kind = ViewedSpan::Kind::kHost, .stage = -1, .pass = pass, .start = start, .finish = finish});
}

void RunView::Holds(int card, Time at, int64_t framebuffer_bytes) {
  const auto watched = held_.find(card);
  if (watched == held_.end() || at >= windows_[1].to) return;
  std::vector<HeldBytes>& held = watched->second;
  // What was held when the window begins is all that counts of the time before it.
  if (!held.empty() && at <= windows_[1].from) held.clear();
  if (held.size() < kMostSpans) held.push_back({at, framebuffer_bytes});
}

}  // namespace lodestone
