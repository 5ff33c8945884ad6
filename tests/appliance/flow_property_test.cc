#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "appliance/plain_flow.h"
#include "appliance/random_flow.h"

namespace lodestone {
namespace {

using testing::DrawFlow;
using testing::FlowDraw;
using testing::FlowOptions;
using testing::FlowRun;
using testing::ItineraryOf;
using testing::PlainFlow;
using testing::RandomFlow;

// Everything that an observer hears.
class Listener final : public FlowObserver {
 public:
  struct Span {
    int64_t start = 0, finish = 0;
    friend auto operator<=>(const Span&, const Span&) = default;
  };
  struct Computed {
    int stage = 0;
    uint64_t pass = 0;
    int section = 0;
    Span span;
    friend auto operator<=>(const Computed&, const Computed&) = default;
  };
  struct Moved {
    int from = 0, to = 0;
    uint64_t pass = 0;
    int64_t bytes = 0;
    Span span;
    friend auto operator<=>(const Moved&, const Moved&) = default;
  };
  void Computes(int stage, uint64_t pass, const Load&, int section, Time start, Time finish) override {
    computed.push_back({stage, pass, section, {start.ps, finish.ps}});
  }
  void Moves(int from, int to, uint64_t pass, int64_t bytes, Time start, Time finish) override {
    moved.push_back({from, to, pass, bytes, {start.ps, finish.ps}});
  }
  void Stalls(int stage, uint64_t, Time start, Time finish) override { stalled[stage] += finish.ps - start.ps; }
  void HostWorks(uint64_t pass, Time start, Time finish) override { host[pass].push_back({start.ps, finish.ps}); }
  void Holds(int card, Time at, int64_t bytes) override { held[card].push_back({at.ps, bytes}); }

  void Sort() {
    std::sort(computed.begin(), computed.end());
    std::sort(moved.begin(), moved.end());
  }

  std::vector<Computed> computed;
  std::vector<Moved> moved;
  std::map<int, int64_t> stalled;
  std::map<uint64_t, std::vector<Span>> host;
  std::map<int, std::vector<Span>> held;
};

struct Outcome {
  std::vector<int64_t> finishes;
  std::vector<StageStats> stages;
  std::vector<FramebufferStats> framebuffers;
  Listener heard;
};

// All passes, of which at most `inside` at a time; a pass enters when its time has come and one has left. With `peeks`
// every finish is foretold first, and an entry that comes before it makes it stale.
Outcome RunAll(const RandomFlow& drawn, const FlowOptions& options, size_t inside, bool peeks = false,
               bool listens = true) {
  Outcome outcome;
  FlowRun run(drawn.placement, drawn.links, options);
  if (listens) run.flow().Observe(&outcome.heard);
  size_t entered = 0, left = 0;
  int64_t now = 0;
  const auto leave = [&] {
    const int64_t foretold = peeks ? run.flow().NextFinish().ps : 0;
    outcome.finishes.push_back(run.Leave());
    if (peeks) {
      EXPECT_EQ(outcome.finishes.back(), foretold);
    }
    now = std::max(now, outcome.finishes.back());
    ++left;
  };
  for (const auto& entry : drawn.passes) {
    while (entered - left >= inside) leave();
    // Passes that have left by then are taken out, as an engine on a timeline does.
    while (left < entered && run.flow().NextFinish().ps <= entry.now) leave();
    now = std::max(now, entry.now);
    run.Enter(now, entry.costs);
    ++entered;
  }
  while (left < entered) leave();
  outcome.stages = run.flow().stats();
  outcome.framebuffers = run.flow().framebuffers();
  outcome.heard.Sort();
  return outcome;
}

void ExpectEqual(const Outcome& a, const Outcome& b, uint32_t seed) {
  ASSERT_EQ(a.finishes, b.finishes) << "seed " << seed;
  for (size_t i = 0; i < a.stages.size(); ++i) {
    EXPECT_EQ(a.stages[i].busy, b.stages[i].busy);
    EXPECT_EQ(a.stages[i].gathers, b.stages[i].gathers) << "seed " << seed << " stage " << i;
    EXPECT_EQ(a.stages[i].stalls, b.stages[i].stalls) << "seed " << seed << " stage " << i;
    EXPECT_EQ(a.stages[i].bytes_in, b.stages[i].bytes_in);
    EXPECT_EQ(a.stages[i].bytes_out, b.stages[i].bytes_out);
    EXPECT_EQ(a.stages[i].link_energy, b.stages[i].link_energy);
  }
  for (size_t i = 0; i < a.framebuffers.size(); ++i) {
    EXPECT_EQ(a.framebuffers[i].peak_bytes, b.framebuffers[i].peak_bytes) << "seed " << seed << " card " << i;
    EXPECT_EQ(a.framebuffers[i].byte_seconds, b.framebuffers[i].byte_seconds) << "seed " << seed << " card " << i;
  }
}

TEST(FlowProperty, TheRecurrenceIsTheEventSimulation) {
  int gathered = 0, stalled = 0;
  for (uint32_t seed = 0; seed < 600; ++seed) {
    const RandomFlow drawn = DrawFlow(seed, {.shared_wires = seed % 3 == 0, .host_transfers = false});
    if (!ItineraryOf(drawn.placement, drawn.links, drawn.options).ordered()) continue;
    FlowOptions events = drawn.options, in_line = drawn.options;
    events.method = in_line.method = FlowMethod::kEvents;
    in_line.all_in_line = true;
    const size_t inside = 1 + seed % 7;
    const Outcome fast = RunAll(drawn, drawn.options, inside);
    for (const auto& [options, peeks] :
         {std::pair(events, false), std::pair(in_line, false), std::pair(in_line, true)}) {
      const Outcome full = RunAll(drawn, options, inside, peeks);
      ExpectEqual(fast, full, seed);
      EXPECT_EQ(fast.heard.computed, full.heard.computed) << "seed " << seed;
      EXPECT_EQ(fast.heard.moved, full.heard.moved) << "seed " << seed;
      EXPECT_EQ(fast.heard.stalled, full.heard.stalled) << "seed " << seed;
    }
    ExpectEqual(fast, RunAll(drawn, in_line, inside, true, false), seed);
    for (const StageStats& stage : fast.stages) {
      gathered += stage.gathers > Time{} ? 1 : 0;
      stalled += stage.stalls > Time{} ? 1 : 0;
    }
  }
  EXPECT_GT(gathered, 200);
  EXPECT_GT(stalled, 200);
}

// Against the plain list of all that is to do, with gathers, slots, shared wires and host memory.
TEST(FlowProperty, BothDoWhatTheRulesSay) {
  int recurrences = 0, contended = 0;
  for (uint32_t seed = 0; seed < 600; ++seed) {
    const RandomFlow drawn = DrawFlow(seed, {.gathers = seed % 3 > 0});
    ++(ItineraryOf(drawn.placement, drawn.links, drawn.options).ordered() ? recurrences : contended);
    PlainFlow plain(drawn.placement, drawn.links, drawn.options);
    for (const auto& entry : drawn.passes) plain.Enter(entry.now, entry.costs);
    plain.Run();
    FlowRun run(drawn.placement, drawn.links, drawn.options);
    for (const auto& entry : drawn.passes) run.Enter(entry.now, entry.costs);
    std::vector<int64_t> finishes;
    for (size_t pass = 0; pass < drawn.passes.size(); ++pass) finishes.push_back(run.Leave());
    ASSERT_EQ(finishes, plain.finishes) << "seed " << seed;
    const auto stages = run.flow().stats();
    for (size_t i = 0; i < stages.size(); ++i) {
      EXPECT_EQ(stages[i].stalls.ps, plain.stalls[i]) << "seed " << seed << " stage " << i;
      EXPECT_EQ(stages[i].gathers.ps, plain.gathers[i]) << "seed " << seed << " stage " << i;
    }
    const auto buffers = run.flow().framebuffers();
    const auto cards = ItineraryOf(drawn.placement, drawn.links, drawn.options).cards;
    for (size_t i = 0; i < cards.size(); ++i) {
      int64_t peaks = 0;
      double integral = 0;
      for (bool departs : {false, true}) {
        const auto& holds = plain.holds[{cards[i], departs}];
        int64_t peak = 0, byte_ps = 0;
        for (size_t h = 0; h < holds.size(); ++h) {
          byte_ps += holds[h].bytes * (holds[h].until - holds[h].from);
          int64_t bytes = holds[h].bytes;
          for (size_t other = 0; other < h; ++other)
            bytes += holds[other].until > holds[h].from ? holds[other].bytes : 0;
          peak = std::max(peak, bytes);
        }
        peaks += peak;
        integral += static_cast<double>(byte_ps) * 1e-12;
      }
      EXPECT_EQ(buffers[i].byte_seconds, integral) << "seed " << seed << " card " << i;
      EXPECT_EQ(buffers[i].peak_bytes, peaks) << "seed " << seed << " card " << i;
    }
  }
  EXPECT_GT(recurrences, 100);
  EXPECT_GT(contended, 100);
}

TEST(FlowProperty, NobodyIsBusyBeyondTheTimeAndBytesAndEnergyAreConserved) {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    const RandomFlow drawn = DrawFlow(seed, FlowDraw{});
    Outcome outcome = RunAll(drawn, drawn.options, 1 + seed % 9);
    EXPECT_TRUE(std::is_sorted(outcome.finishes.begin(), outcome.finishes.end())) << "seed " << seed;
    int64_t end = outcome.finishes.back();  // a rank that nobody waits for may work on
    for (const auto& computed : outcome.heard.computed) end = std::max(end, computed.span.finish);
    std::map<int, std::vector<Listener::Span>> array, out, in;
    std::map<int, int64_t> bytes_in, bytes_out, busy;
    const auto card = [&](int stage) { return drawn.placement.stages[static_cast<size_t>(stage)].card; };
    for (const auto& computed : outcome.heard.computed) {
      array[card(computed.stage)].push_back(computed.span);
      busy[computed.stage] += computed.span.finish - computed.span.start;
    }
    const double per_byte = drawn.links.bytes_per_s > 0 ? 1e12 / drawn.links.bytes_per_s : 0;
    int64_t to_memory = 0, from_memory = 0;
    for (const auto& moved : outcome.heard.moved) {
      // A card's own link; what it waits for behind a slower wire is not its time.
      const Listener::Span link{
          moved.span.start, moved.span.start + static_cast<int64_t>(per_byte * static_cast<double>(moved.bytes) + 0.5)};
      if (moved.from >= 0) out[card(moved.from)].push_back(link);
      if (moved.to >= 0) in[card(moved.to)].push_back(link);
      bytes_out[moved.from] += moved.bytes;
      bytes_in[moved.to] += moved.bytes;
      (moved.to < 0 ? to_memory : from_memory) += moved.from < 0 || moved.to < 0 ? moved.bytes : 0;
    }
    for (auto* users : {&array, &out, &in}) {
      for (auto& [index, spans] : *users) {
        std::sort(spans.begin(), spans.end());
        for (size_t i = 1; i < spans.size(); ++i) {
          EXPECT_LE(spans[i - 1].finish, spans[i].start) << "seed " << seed << ": two at once on card " << index;
        }
      }
    }
    int64_t stats_in = 0, stats_out = 0;
    for (size_t i = 0; i < outcome.stages.size(); ++i) {
      const StageStats& stage = outcome.stages[i];
      const int index = static_cast<int>(i);
      EXPECT_EQ(stage.busy.ps, busy[index]);
      EXPECT_LE(stage.busy.ps + stage.gathers.ps, end);
      EXPECT_EQ(stage.stalls.ps, outcome.heard.stalled[index]);
      EXPECT_EQ(stage.bytes_in, bytes_in[index]) << "seed " << seed;
      EXPECT_EQ(stage.bytes_out, bytes_out[index]) << "seed " << seed;
      EXPECT_EQ(stage.link_energy.pj, (stage.bytes_in + stage.bytes_out) * drawn.links.link_energy_per_byte.pj);
      EnergyParts energy;
      for (const auto& entry : drawn.passes) energy += entry.costs[i].energy;
      EXPECT_EQ(stage.energy.total(), energy.total());
      stats_in += stage.bytes_in;
      stats_out += stage.bytes_out;
    }
    EXPECT_EQ(stats_out - to_memory, stats_in - from_memory) << "seed " << seed << ": what cards receive, cards sent";
    for (const auto& [index, moments] : outcome.heard.held) {
      for (size_t i = 0; i < moments.size(); ++i) {
        EXPECT_GE(moments[i].finish, 0) << "seed " << seed << " card " << index;
        if (i > 0) {
          EXPECT_LT(moments[i - 1].start, moments[i].start) << "seed " << seed << " card " << index;
        }
      }
    }
  }
}

// In a chain without ranks a pass is at one place at a time: what passes between its entry and its return are its
// moves with their latencies, its computing, the host's work, and waits; and a wait ends when someone else is done.
TEST(FlowProperty, APassTakesItsStagesItsMovesAndItsWaits) {
  int waits = 0;
  for (uint32_t seed = 0; seed < 300; ++seed) {
    RandomFlow drawn = DrawFlow(seed, {.gathers = false, .shared_wires = false, .host_transfers = false});
    for (PlacedStage& stage : drawn.placement.stages) {
      stage.stage.rank = 0;
      stage.stage.of = 1;
    }
    const Outcome outcome = RunAll(drawn, drawn.options, drawn.passes.size());
    std::vector<int64_t> ends;  // of anything
    for (const auto& computed : outcome.heard.computed) {
      ends.push_back(computed.span.start);  // frees a slot of what it works on
      ends.push_back(computed.span.finish);
    }
    for (const auto& moved : outcome.heard.moved) ends.push_back(moved.span.finish);
    const auto network = [&](int from, int to) {
      const auto server = [&](int stage) {
        const int card = drawn.placement.stages[static_cast<size_t>(std::max(stage, 0))].card;
        return drawn.links.cards_per_server > 0 ? card / drawn.links.cards_per_server : 0;
      };
      return server(from) != server(to) ? drawn.links.network_latency.ps : 0;
    };
    for (size_t pass = 0; pass < drawn.passes.size(); ++pass) {
      std::vector<std::pair<Listener::Span, int64_t>> parts;  // and the latency after
      for (const auto& computed : outcome.heard.computed) {
        if (computed.pass == pass) parts.push_back({computed.span, 0});
      }
      for (const auto& moved : outcome.heard.moved) {
        if (moved.pass == pass) parts.push_back({moved.span, drawn.links.latency.ps + network(moved.from, moved.to)});
      }
      std::sort(parts.begin(), parts.end());
      int64_t at = drawn.passes[pass].now, own = 0, waited = 0;
      for (const auto& [span, latency] : parts) {
        ASSERT_GE(span.start, at) << "seed " << seed << " pass " << pass;
        if (span.start > at) {
          ++waits;
          EXPECT_TRUE(std::find(ends.begin(), ends.end(), span.start) != ends.end())
              << "seed " << seed << " pass " << pass << " waits for nobody until " << span.start;
        }
        waited += span.start - at;
        own += span.finish + latency - span.start;
        at = span.finish + latency;
      }
      EXPECT_EQ(outcome.finishes[pass], drawn.passes[pass].now + own + waited + drawn.links.host_turnaround.ps);
    }
  }
  EXPECT_GT(waits, 1000);
}

// The recurrence is monotone in everything that takes time.
TEST(FlowProperty, FasterLinksShorterLatenciesAndMoreSlotsNeverDelayAPass) {
  int earlier = 0;
  for (uint32_t seed = 0; seed < 400; ++seed) {
    const RandomFlow drawn = DrawFlow(seed, {.shared_wires = false, .host_transfers = false});
    RandomFlow better = drawn;
    switch (seed % 5) {
      case 0:
        better.links.bytes_per_s *= 2;
        break;
      case 1:
        better.links.latency = {drawn.links.latency.ps / 2};
        break;
      case 2:
        better.links.host_turnaround = better.links.network_latency = {0};
        break;
      case 3:
        if (drawn.options.slots != FramebufferHalf::kUnlimited) ++better.options.slots;
        break;
      default:
        for (auto& entry : better.passes) {
          StageCost& cost = entry.costs[seed % entry.costs.size()];
          if (cost.sections.empty()) cost.time = {cost.time.ps / 2};
        }
    }
    const size_t all = drawn.passes.size();
    const Outcome slow = RunAll(drawn, drawn.options, all), fast = RunAll(better, better.options, all);
    for (size_t pass = 0; pass < all; ++pass) {
      EXPECT_LE(fast.finishes[pass], slow.finishes[pass]) << "seed " << seed << " pass " << pass;
      earlier += fast.finishes[pass] < slow.finishes[pass] ? 1 : 0;
    }
  }
  EXPECT_GT(earlier, 500);
}

// Where framebuffers have room; a small one can gain from host memory, which is a buffer too.
TEST(FlowProperty, ThroughHostMemoryNoPassIsEarlier) {
  int later = 0;
  for (uint32_t seed = 0; seed < 300; ++seed) {
    RandomFlow drawn =
        DrawFlow(seed, {.gathers = false, .slots = false, .shared_wires = false, .host_transfers = false});
    const size_t all = drawn.passes.size();
    const Outcome direct = RunAll(drawn, drawn.options, all);
    drawn.links.transfers = Transfers::kHost;
    drawn.links.host_transfer = {static_cast<int64_t>(seed % 20)};
    const Outcome host = RunAll(drawn, drawn.options, all);
    for (size_t pass = 0; pass < all; ++pass) {
      EXPECT_GE(host.finishes[pass], direct.finishes[pass]) << "seed " << seed << " pass " << pass;
      later += host.finishes[pass] > direct.finishes[pass] ? 1 : 0;
    }
  }
  EXPECT_GT(later, 500);
}

}  // namespace
}  // namespace lodestone
