#include "lab/timeline_trace.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/json.h"
#include "lab/power_bins.h"
#include "small_simulation.h"

namespace lodestone::testing {
namespace {

TEST(PowerBins, KeepTheEnergyAndItsPlace) {
  PowerBins bins(4);
  bins.Add(Time{0}, Time{2'000'000}, Energy{2'000'000});          // 1 W
  bins.Add(Time{1'500'000}, Time{1'500'000}, Energy{1'000'000});  // at once
  EXPECT_EQ(bins.width().ps, 1'000'000);
  EXPECT_EQ(bins.Watts(Time{2'000'000}), (std::vector<double>{1, 2}));
  bins.Add(Time{0}, Time{16'000'000}, Energy{16'000'000});  // four times as long as the bins: they double until it fits
  EXPECT_EQ(bins.width().ps, 8'000'000);
  const std::vector<double> watts = bins.Watts(Time{16'000'000});
  ASSERT_EQ(watts.size(), 2u);
  EXPECT_NEAR(watts[0], 1 + 3.0 / 8, 1e-12);
  EXPECT_NEAR(watts[1], 1, 1e-12);
  EXPECT_NEAR(bins.Watts(Time{12'000'000})[1], 2, 1e-12) << "the last bin ends with the run";
}

// Enough for every kind of pass: a prompt in two chunks, decoding, and both in one.
SimulationOptions FewPasses() {
  SimulationOptions options = SmallSimulation();
  options.users = 3;
  options.micro_batches = 2;
  options.output_tokens = 3;
  return options;
}

struct Span {
  double start, end;
  std::string name, category;
};

struct Trace {
  std::map<std::pair<int64_t, int64_t>, std::vector<Span>> threads;  // by process and thread
  std::map<std::pair<int64_t, int64_t>, std::string> thread_names;
  std::set<std::string> processes;
  std::map<std::string, int> counts;
  std::string text;
  Json json;
};

Trace TraceOf(const SimulationOptions& options, const TraceLimits& limits = {}) {
  Trace trace;
  const auto run = TraceBatch(
      options, [&](std::string_view piece) { trace.text += piece; }, limits);
  EXPECT_TRUE(run.ok()) << (run.ok() ? "" : run.error().message);
  auto json = ParseJson(trace.text, "trace");
  EXPECT_TRUE(json.ok()) << (json.ok() ? "" : json.error().message);
  if (!json.ok()) return trace;
  trace.json = *std::move(json);
  for (const Json& event : *trace.json.Find("traceEvents")->as_array()) {
    const std::string& name = *event.Find("name")->as_string();
    const std::string& phase = *event.Find("ph")->as_string();
    const std::pair<int64_t, int64_t> thread{*event.Find("pid")->as_int(), *event.Find("tid")->as_int()};
    if (phase == "X") {
      const double start = *event.Find("ts")->as_number(), length = *event.Find("dur")->as_number();
      trace.threads[thread].push_back({start, start + length, name, *event.Find("cat")->as_string()});
    }
    if (phase == "C") ++trace.counts[name];
    if (name == "process_name") trace.processes.insert(*event.Find("args")->Find("name")->as_string());
    if (name == "thread_name") trace.thread_names[thread] = *event.Find("args")->Find("name")->as_string();
  }
  return trace;
}

// Spans of a thread that overlap without one lying inside the other; picoseconds are 1e-6.
int OverlapsOf(Trace& trace) {
  constexpr double kPicosecond = 1e-6;
  int faults = 0;
  for (auto& [thread, spans] : trace.threads) {
    std::stable_sort(spans.begin(), spans.end(), [](const Span& a, const Span& b) {
      return a.start != b.start ? a.start < b.start : a.end > b.end;
    });
    std::vector<double> open;
    for (const Span& span : spans) {
      while (!open.empty() && open.back() <= span.start + kPicosecond / 2) open.pop_back();
      if (!open.empty() && span.end > open.back() + kPicosecond / 2) ++faults;
      open.push_back(span.end);
    }
  }
  return faults;
}

TEST(TimelineTrace, ShowsHostCardsNetworksAndEngines) {
  Trace trace = TraceOf(FewPasses());
  EXPECT_TRUE(trace.processes.count("host"));
  EXPECT_TRUE(trace.processes.count("all cards"));
  EXPECT_GE(trace.processes.size(), 4u);
  std::set<std::string> names;
  for (const auto& [thread, name] : trace.thread_names) {
    names.insert(name);
    EXPECT_TRUE(trace.threads.count(thread)) << name << " is named and empty";
  }
  for (const char* name : {"core array", "DMA in", "DMA out", "host software"}) EXPECT_TRUE(names.count(name)) << name;
  EXPECT_GT(trace.counts["framebuffer"], 0);
  EXPECT_GT(trace.counts["power"], 0);
  EXPECT_EQ(*trace.json.Find("otherData")->Find("provenance")->as_string(), "simulated");
}

TEST(TimelineTrace, SpansOfAThreadNest) {
  for (const Transfers transfers : {Transfers::kDirect, Transfers::kHost}) {
    SimulationOptions options = FewPasses();
    options.transfers = transfers;
    Trace trace = TraceOf(options);
    EXPECT_EQ(OverlapsOf(trace), 0) << ToString(transfers);
  }
}

TEST(TimelineTrace, OperatorsFillTheFirstPassesAlone) {
  const auto operators_of = [](Trace& trace, double* missing) {
    int operators = 0;
    for (auto& [thread, spans] : trace.threads) {
      if (trace.thread_names[thread] != "core array") continue;
      double passes = 0, inside = 0;
      for (const Span& span : spans) {
        if (span.category == "pass") passes += span.end - span.start;
        if (span.category == "operator") {
          inside += span.end - span.start;
          ++operators;
        }
      }
      if (missing) *missing = std::max(*missing, std::abs(passes - inside));
    }
    return operators;
  };
  double missing = 0;
  Trace all = TraceOf(FewPasses(), {.explained_passes = 1'000'000});
  const int most = operators_of(all, &missing);
  EXPECT_LT(missing, 1e-3) << "the times of the operators are those of their passes, in microseconds";
  Trace some = TraceOf(FewPasses(), {.explained_passes = 2});
  const int few = operators_of(some, nullptr);
  EXPECT_GT(few, 0);
  EXPECT_LT(few, most);
  Trace none = TraceOf(FewPasses(), {.explained_passes = 0});
  EXPECT_EQ(operators_of(none, nullptr), 0);
}

TEST(TimelineTrace, IsBoundedAndSaysSo) {
  const Trace trace = TraceOf(FewPasses(), {.events = 1000});
  size_t events = 0;
  bool cut = false;
  for (const Json& event : *trace.json.Find("traceEvents")->as_array()) {
    const std::string& phase = *event.Find("ph")->as_string();
    events += phase == "X" || phase == "C" ? 1 : 0;
    cut = cut || phase == "i";
  }
  EXPECT_LE(events, 1000u);
  EXPECT_GT(events, 400u);
  EXPECT_TRUE(cut);
  EXPECT_GT(*trace.json.Find("otherData")->Find("events_left_out")->as_int(), 0);
  EXPECT_GT(trace.counts.at("power"), 0) << "the power over the whole run has room of its own";
}

TEST(TimelineTrace, IsTheSameEveryTime) { EXPECT_EQ(TraceOf(FewPasses()).text, TraceOf(FewPasses()).text); }

TEST(TimelineTrace, ObservingChangesNothing) {
  const auto alone = SimulateBatch(FewPasses());
  const auto traced = TraceBatch(FewPasses(), [](std::string_view) {});
  ASSERT_TRUE(alone.ok() && traced.ok());
  EXPECT_EQ(alone->elapsed, traced->elapsed);
  EXPECT_EQ(alone->energy.total_j(), traced->energy.total_j());
}

}  // namespace
}  // namespace lodestone::testing
